// The home page: a list, what moves it, and how it came about.
const $ = (id) => document.getElementById(id);
const K = 12;
const STAGES = ["recall", "rank", "rerank", "entries"];
let user = null, page = 0, watched = [];

async function ask(path, body) {
  const options = body && { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(path, options);
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.error);
  return content;
}

async function guarded(work) {
  $("status").textContent = "";
  try {
    await work();
  } catch (error) {
    $("status").textContent = error.message || "The service cannot be reached.";
  }
}

function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

// An id that says more than the title, as of a film and its year, is shown itself.
const called = (item) => (item.item_id.startsWith(item.title) ? item.item_id : item.title);

function card(item) {
  const made = $("card").content.cloneNode(true).firstElementChild;
  made.querySelector("h3").textContent = called(item);
  made.querySelector(".reason").textContent = item.reason;
  const ranks = Object.entries(item.channels).sort((one, other) => one[1].rank - other[1].rank);
  made.querySelector(".channels").append(...ranks.map(([name, found]) => element("li", `${name} ${found.rank}`)));
  const odds = Object.entries(item.probabilities).map(([task, p]) => `${task} ${(100 * p).toFixed(1)} %`);
  made.querySelector(".odds").textContent = odds.join(" · ");
  made.querySelector(".watch").onclick = () => guarded(() => watch(item));
  made.querySelector(".watch").hidden = user === null;
  made.querySelector(".alike").onclick = () => guarded(() => similar(item));
  return made;
}

function show(answer, first) {
  const cards = answer.items.map(card);
  if (first) $("list").replaceChildren(...cards);
  else {
    $("list").append(...cards);
    cards[0]?.querySelector("button:not([hidden])").focus();
  }
  $("more").hidden = user === null || answer.items.length < K;
  const spent = STAGES.map((stage) => answer.milliseconds[stage] ?? 0);
  const total = spent.reduce((sum, each) => sum + each, 0);
  $("stages").replaceChildren(...spent.map((each) => {
    const bar = document.createElement("span");
    bar.style.width = `${100 * each / total}%`;
    return bar;
  }));
  const told = STAGES.map((stage, n) => `${stage} ${spent[n].toFixed(1)} ms`).join(", ");
  $("stages").setAttribute("aria-label", told);
  $("release").textContent = `Release ${answer.release}, served by ${answer.served_by}. ${told}.`;
}

async function recommend(next) {
  page = next;
  const answer = await ask("recommend", { user_id: user, k: K, page, explain: true });
  show(answer, page === 0);
  if (answer.served_by === "popular") $("status").textContent = `Nothing is known of ${user} yet: this is what is popular.`;
}

async function watch(item) {
  await ask("events", { user_id: user, events: [{ item_id: item.item_id }] });
  watched.unshift(called(item));
  $("seen").hidden = false;
  $("seen").textContent = `You just had: ${watched.join(" · ")}`;
  await recommend(0);
  $("status").textContent = "The list has moved.";
  $("list").querySelector("button")?.focus();
}

async function similar(item) {
  const found = await ask("similar_items", { item_id: item.item_id, k: 8 });
  $("similar-title").textContent = `Goes with ${called(item)}`;
  $("similar-list").replaceChildren(...found.items.map((each) => element("li", called(each))));
  $("similar").hidden = false;
  $("close").focus();
}

function choice(text, value) {
  const entry = document.createElement("li"), button = element("button", text);
  button.value = value;
  button.type = "button";
  button.setAttribute("aria-pressed", "false");
  button.onclick = () => {
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    $("picked").disabled = !$("picking").querySelector("[aria-pressed=true]");
  };
  entry.append(button);
  return entry;
}

async function pick() {
  user = null;
  $("user").value = "";
  const [popular, { categories }] = await Promise.all([ask("interests", { k: 24 }), ask("categories")]);
  $("categories").replaceChildren(...categories.map((name) => choice(name, name)));
  $("picks").replaceChildren(...popular.items.map((item) => choice(called(item), item.item_id)));
  $("list").replaceChildren();
  $("categories").hidden = !categories.length;
  $("more").hidden = $("seen").hidden = $("similar").hidden = true;
  $("picked").disabled = true;
  $("picking").hidden = false;
  $("picking").querySelector("button")?.focus();
}

async function forPicks() {
  const chosen = (id) => [...$(id).querySelectorAll("[aria-pressed=true]")].map((button) => button.value);
  show(await ask("interests", { items: chosen("picks"), categories: chosen("categories"), k: K, explain: true }), true);
  $("list").scrollIntoView({ behavior: "smooth" });
}

$("who").onsubmit = (event) => {
  event.preventDefault();
  user = $("user").value.trim();
  watched = [];
  $("seen").hidden = $("picking").hidden = $("similar").hidden = true;
  guarded(() => recommend(0));
};
$("new").onclick = () => guarded(pick);
$("picked").onclick = () => guarded(forPicks);
$("more").onclick = () => guarded(() => recommend(page + 1));
$("close").onclick = () => { $("similar").hidden = true; };
document.onkeydown = (event) => { if (event.key === "Escape") $("similar").hidden = true; };
guarded(async () => {
  const { user_ids } = await ask("users");
  $("users").append(...user_ids.map((id) => new Option(id)));
  $("user").value = user_ids[0];
  $("who").requestSubmit();
});

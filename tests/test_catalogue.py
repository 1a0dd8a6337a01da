import numpy as np

from recsys.catalogue import Catalogue
from recsys.vocabulary import Vocabulary


def catalogue(*categories: tuple[str, ...]) -> Catalogue:
    ids = Vocabulary.of(range(len(categories)))
    return Catalogue(Vocabulary.of(["u"]), ids, tuple(ids.ids), categories)


def test_items_share_a_bit_where_they_share_a_category():
    bits = catalogue(("Action",), ("Drama", "Action"), ("Drama",), ()).category_bits()
    shared = (bits[:, None] & bits) > 0
    assert shared.astype(int).tolist() == [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]


def test_of_many_categories_the_rarest_have_no_bit():
    common = [(f"c{n:02d}",) for n in range(64)]
    bits = catalogue(*common, *common, ("rare",)).category_bits()
    assert bits[-1] == 0
    assert len(np.unique(bits[:64])) == 64

"""Made-up events of a `World` whose causes are known."""

from recsys.synthetic.world import Shown, World

__all__ = ["Shown", "World"]

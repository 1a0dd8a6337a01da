"""How many machines a load takes: `model` of replicas under load, `plan` of all that they need."""

from recsys.capacity.model import CapacityError, Fitted, Queue, Scaling, fit
from recsys.capacity.plan import Measured, Plan, Want, plan

__all__ = ["CapacityError", "Fitted", "Measured", "Plan", "Queue", "Scaling", "Want", "fit", "plan"]

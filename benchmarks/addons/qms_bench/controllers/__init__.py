from . import escalation, yardstick

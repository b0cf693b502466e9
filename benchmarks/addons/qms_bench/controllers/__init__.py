from . import yardstick

"""A model in service: drift of its applications by the hour, alarms, and trainings that follow from them."""

"""How the scripts beside this one print what they measured in rounds."""
import statistics


def spread(values, form="{:.2f}".format):
    """The median and the range; `form` makes text of a number."""
    return f"{form(statistics.median(values))} ({form(min(values))} to {form(max(values))})"

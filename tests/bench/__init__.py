"""Speed, as ratios of what is measured in one and the same run: no wall times are asserted."""

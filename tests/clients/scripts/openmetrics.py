"""Reads a scrape in OpenMetrics from its input, strictly; says how many families and exemplars."""

import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

families = list(text_string_to_metric_families(sys.stdin.read()))
samples = [sample for family in families for sample in family.samples]
print(len(families), sum(sample.exemplar is not None for sample in samples))

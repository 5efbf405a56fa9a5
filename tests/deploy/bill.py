"""A bill of materials on standard input against the schema of CycloneDX."""

import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read())
print(fault or "good")
sys.exit(1 if fault else 0)

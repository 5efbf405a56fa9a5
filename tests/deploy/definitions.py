"""Task definitions against the model of the service that AWS's own clients are made from.

    python definitions.py FILE...

Unknown fields, wrong types and missing fields are found by botocore; here are added the values of
enumerations, which it leaves to the server.
"""

import json
import sys

from botocore.session import get_session
from botocore.validate import ParamValidator

service = get_session().get_service_model("ecs")
request = service.operation_model("RegisterTaskDefinition").input_shape


def wrong_values(value, shape, path):
    """Where a value is none of those that there are."""
    if shape.type_name == "structure":
        for name, member in value.items():
            yield from wrong_values(member, shape.members[name], f"{path}.{name}")
    elif shape.type_name == "list":
        for index, member in enumerate(value):
            yield from wrong_values(member, shape.member, f"{path}[{index}]")
    elif getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{path}: {value} is none of {', '.join(shape.enum)}"


faults = []
for file in sys.argv[1:]:
    with open(file, encoding="utf-8") as opened:
        definition = json.load(opened)
    report = ParamValidator().validate(definition, request)
    if report.has_errors():
        faults.append(f"{file}: {report.generate_report()}")
    else:
        faults.extend(wrong_values(definition, request, file))
print("\n".join(faults) or "good")
sys.exit(1 if faults else 0)

"""Validates objects against Kubernetes' own schemas, strictly. The arguments are a file with a JSON list of objects, each with
its origin, and versions of Kubernetes. Prints each fault on a line, and fails if there is one."""

import functools
import json
import sys

from kubernetes_validate import utils

# Each call would read all definitions of a version again.
utils.schema_contents = functools.lru_cache(maxsize=None)(utils.schema_contents)

faults = 0
with open(sys.argv[1]) as file:
    objects = json.load(file)
for version in sys.argv[2:]:
    for origin, value in objects:
        try:
            utils.validate(value, version, strict=True)
        except utils.ValidationError as error:
            place = ".".join(str(part) for part in error.path)
            print(f"{origin}: Kubernetes {version}: {place}: {error.message}"[:500])
            faults += 1
        except utils.SchemaNotFoundError as error:
            print(f"{origin}: {error.message}")
            faults += 1
sys.exit(1 if faults else 0)

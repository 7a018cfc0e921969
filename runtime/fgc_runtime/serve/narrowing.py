"""A schema in, one that admits less out: an object has the properties that are named, where others are not forbidden.

What fits the narrower schema fits the other. Without this a model may go on adding properties of its own: few schemas
say that there are no others, and all mean it.
"""

from collections.abc import Iterator, Mapping

from fgc_runtime.serve.fields import Json

_MAPPINGS = {"properties", "$defs", "definitions"}  # names to schemas
_INNER = {"items", "prefixItems", "anyOf", "oneOf", *_MAPPINGS}
_JOINING = {"$ref", "anyOf", "oneOf"}  # beside properties of its own: several schemas count for one object
_OPENING = {"additionalProperties", "patternProperties", "unevaluatedProperties", "propertyNames", "minProperties"}


def narrowed(schema: Mapping[str, Json]) -> Mapping[str, Json]:
    """Returns the narrower schema; the same one if objects are put together from several."""
    return schema if any(map(_joins, _parts(schema))) else _narrowed(schema)


def _parts(value: Json) -> Iterator[Mapping[str, Json]]:
    """Yields each mapping in a value; some are no schemas, which does no harm."""
    if isinstance(value, Mapping):
        yield value
        for inner in value.values():
            yield from _parts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _parts(inner)


def _joins(part: Mapping[str, Json]) -> bool:
    names = part.keys()
    has_own = bool({"properties", "required"} & names)
    return bool({"allOf", "$dynamicRef", "if", "dependentSchemas"} & names) or (has_own and bool(_JOINING & names))


def _narrowed(schema: Mapping[str, Json]) -> dict[str, Json]:
    inner: dict[str, Json] = {name: _inner(name, value) for name, value in schema.items()}
    named, required = schema.get("properties"), schema.get("required")
    is_open = isinstance(named, Mapping) and not _OPENING & schema.keys()
    if is_open and isinstance(named, Mapping) and {str(n) for n in _listed(required)} <= named.keys():
        inner["additionalProperties"] = False
    return inner


def _inner(name: str, value: Json) -> Json:
    if name not in _INNER:
        return value
    if name in _MAPPINGS and isinstance(value, Mapping):
        return {key: _narrowed(each) if isinstance(each, Mapping) else each for key, each in value.items()}
    if isinstance(value, Mapping):
        return _narrowed(value)
    return [_narrowed(each) if isinstance(each, Mapping) else each for each in _listed(value)] or value


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []

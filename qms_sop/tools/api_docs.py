"""The OpenAPI document as a page for people: which words go where.

No Odoo here: the document goes in, plain values for the template come out.
"""

import json

_FIRST = (
    "SOP runs",
    "Steps of a run",
    "Errors of a run",
    "Evidence of a run",
    "Root-cause analyses of a run",
)
_KINDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "object",
    "array": "list",
    "null": "null",
}
# More than that are the fields of an object, which stand there already.
_MOST_CHOICES = 20
_FORMATS = {"date-time": "time", "binary": "file", "date": "date"}
_SAMPLES = {"integer": 1, "number": 1.0, "boolean": True}


def chapters(document):
    """Return the operations of a document, chapter by chapter.

    :param dict document: OpenAPI 3.1
    :return: dicts with ``name``, ``anchor`` and ``operations``
    :rtype: list[dict]
    """
    found = {}
    base_url = document["servers"][0]["url"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            found.setdefault(operation["tags"][0], []).append(
                _operation(document, base_url, path, method.upper(), operation)
            )
    names = [name for name in _FIRST if name in found]
    names += [name for name in found if name not in names]
    return [
        {"name": name, "anchor": anchor(name), "operations": found[name]}
        for name in names
    ]


def objects(document):
    """Return the schemas of a document.

    :param dict document: OpenAPI 3.1
    :return: dicts with ``name``, ``anchor``, ``description`` and ``fields``
    :rtype: list[dict]
    """
    return [
        {
            "name": name,
            "anchor": anchor(name),
            "description": schema.get("description"),
            "fields": _fields(schema),
        }
        for name, schema in sorted(document["components"]["schemas"].items())
    ]


def anchor(name):
    """Return what a part of the page is linked by."""
    return name.lower().replace(" ", "-")


def _operation(document, base_url, path, method, operation):
    parameters = operation["parameters"]
    content = operation.get("requestBody", {}).get("content", {})
    bodies = [
        {"media": media, **_content(document, body["schema"])}
        for media, body in content.items()
    ]
    return {
        "anchor": operation["operationId"],
        "method": method,
        "path": path,
        "summary": operation["summary"],
        "description": operation["description"],
        "public": operation.get("security") == [],
        "parameters": [
            {
                "name": parameter["name"],
                "in": parameter["in"],
                "kind": _kind(parameter["schema"]),
                "required": parameter.get("required", False),
                "description": parameter.get("description"),
                "default": _default(parameter["schema"]),
            }
            for parameter in parameters
        ],
        "bodies": _merged(bodies),
        "answers": [
            {
                "status": status,
                "media": ", ".join(answer.get("content", {})),
                **_answer(document, answer),
            }
            for status, answer in operation["responses"].items()
            if "$ref" not in answer
        ],
        "problems": [
            status
            for status, answer in operation["responses"].items()
            if "$ref" in answer
        ],
        "curl": _curl(document, base_url, path, method, operation),
    }


def _merged(bodies):
    """Return bodies; content types with the same fields share an entry."""
    result = []
    for body in bodies:
        for known in result:
            if (known["link"], known["kind"]) == (body["link"], body["kind"]):
                known["media"] += f", {body['media']}"
                break
        else:
            result.append(dict(body))
    return result


def _answer(document, answer):
    for body in answer.get("content", {}).values():
        return _content(document, body["schema"])
    return {"link": None, "kind": [], "fields": []}


def _content(document, schema):
    """Return what a body is: the object it is, and the fields of that."""
    reference = schema.get("$ref")
    if not reference:
        return {"link": None, "kind": _kind(schema), "fields": _fields(schema)}
    name = reference.rpartition("/")[2]
    target = document["components"]["schemas"][name]
    return {"link": name, "kind": _kind(schema), "fields": _fields(target)}


def _fields(schema):
    required = schema.get("required", ())
    return [
        {
            "name": name,
            "kind": _kind(field),
            "required": name in required,
            "description": field.get("description"),
            "default": _default(field),
            "example": _example(field),
        }
        for name, field in schema.get("properties", {}).items()
    ]


def _example(field):
    return json.dumps(field["examples"][0]) if field.get("examples") else None


def _default(schema):
    default = schema.get("default")
    return None if default is None else json.dumps(default)


def _kind(schema):
    """Return what a value can be, in words.

    :return: pieces of text; those with an object's name are pairs of name and anchor
    :rtype: list[str | tuple[str, str]]
    """
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return [(name, anchor(name))]
    if "anyOf" in schema:
        pieces = []
        for position, option in enumerate(schema["anyOf"]):
            pieces += [" or "] * bool(position) + _kind(option)
        return pieces
    if "const" in schema:
        return [json.dumps(schema["const"])]
    if "enum" in schema:
        if len(schema["enum"]) > _MOST_CHOICES:
            return ["names of fields"]
        return [" | ".join(str(value) for value in schema["enum"])]
    if schema.get("type") == "array":
        items = schema.get("items") or {}
        return ["list of ", *_kind(items)] if items else ["list"]
    text = _FORMATS.get(schema.get("format")) or _KINDS.get(schema.get("type"), "any")
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None and high < 2**31 - 1:
        text += f", {low} to {high}"
    return [text]


def _curl(document, base_url, path, method, operation):
    """Return a command line that calls an operation as it stands."""
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            sample = 1 if parameter["schema"]["type"] == "integer" else "NAME"
            if parameter["name"] == "run_id":
                sample = "$RUN_ID"
            path = path.replace(f"{{{parameter['name']}}}", str(sample))
    lines = [f'curl "{base_url}{path}"']
    if method != "GET":
        lines[0] = f'curl -X {method} "{base_url}{path}"'
    if operation.get("security") != []:
        lines.append('-H "Authorization: Bearer $ODOO_API_KEY"')
    headers = {
        parameter["name"]
        for parameter in operation["parameters"]
        if parameter["in"] == "header"
    }
    if "Idempotency-Key" in headers:
        lines.append('-H "Idempotency-Key: $(uuidgen)"')
    if "If-Match" in headers and method == "PATCH":
        lines.append('-H "If-Match: $ETAG"')
    content = operation.get("requestBody", {}).get("content", {})
    if "multipart/form-data" in content:
        lines.append("-F file=@app.log")
    elif "application/json" in content:
        schema = content["application/json"]["schema"]
        body = json.dumps(_sample(document, schema), ensure_ascii=False)
        lines.append('-H "Content-Type: application/json"')
        lines.append("-d '{}'".format(body.replace("'", "'\\''")))
    return " \\\n  ".join(lines)


def _sample(document, schema):
    """Return a value of a schema: what is required, and what has an example."""
    if schema.get("examples"):
        return schema["examples"][0]
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _sample(document, document["components"]["schemas"][name])
    if "anyOf" in schema:
        return _sample(document, schema["anyOf"][0])
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "object" or "properties" in schema:
        required = schema.get("required", ())
        return {
            name: _sample(document, field)
            for name, field in schema.get("properties", {}).items()
            if name in required or field.get("examples")
        }
    if schema.get("type") == "array":
        return [_sample(document, schema.get("items", {}))]
    return _SAMPLES.get(schema.get("type"), "…")

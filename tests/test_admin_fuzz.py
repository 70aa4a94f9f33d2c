"""
The admin door, asked by its own description: what that allows, and what it does not.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from twisted.trial.unittest import SynchronousTestCase

from terminable.admin.openapi import description
from tests.adminasking import AdminTestCase, Response, Talk, parsed, question

DESCRIPTION = description()

#: Many, but not for long.
MANY = settings(
    max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)

#: Anything that JSON has.
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)

#: What may stand in the head of a request.
VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=30)

READS = sorted(path for path, item in DESCRIPTION["paths"].items() if "get" in item)
ACTS = sorted(path for path, item in DESCRIPTION["paths"].items() if "post" in item)


def valuesOf(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """
    @return: values that a schema allows.
    """
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return st.one_of(*(_valuesOf(kind, schema) for kind in kinds))


def _valuesOf(kind: str, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    least, most = schema.get("minimum"), schema.get("maximum")
    if kind == "integer":
        return st.integers(least, most if most is not None else 10**9)
    if kind == "number":
        return st.floats(least or 0.0, most if most is not None else 1e6)
    if kind == "array":
        return st.lists(valuesOf(schema["items"]), max_size=4)
    if kind == "object":
        properties = schema["properties"].items()
        return st.fixed_dictionaries(
            {}, optional={name: valuesOf(each) for name, each in properties}
        )
    return st.text(max_size=20)


def bodyOf(path: str) -> dict[str, Any]:
    """
    @return: what may be posted to a path.
    """
    content = DESCRIPTION["paths"][path]["post"]["requestBody"]["content"]
    schema: dict[str, Any] = content["application/json"]["schema"]
    return schema


class FuzzTestCase(AdminTestCase):
    """
    A server with a few connections, and a door that is asked very often.
    """

    def setUp(self) -> None:
        super().setUp()
        self.renew()

    def renew(self) -> None:
        """
        Another server.
        """
        AdminTestCase.setUp(self)
        # Nobody is too quick here.
        self.patch(self.site.pace, "wait", lambda: 0.0)
        self.listen()
        for port in (1, 2, 3):
            self.connect(port, busy=port == 2, delay=None)

    def described(self, method: str, path: str, answer: Response) -> None:
        """
        Fail if the description does not say that there may be such an answer.
        """
        operation = DESCRIPTION["paths"][path][method]
        found = operation["responses"].get(str(answer.code))
        self.assertIsNotNone(found, f"{method} {path}: {answer.code} {answer.body!r}")
        kind = answer.headers["content-type"].split(";")[0]
        schema = found["content"][kind]["schema"]
        if kind == "application/json":
            whole = {**schema, "components": DESCRIPTION["components"]}
            errors = list(Draft202012Validator(whole).iter_errors(answer.json))
            self.assertEqual(errors, [], answer.body)

    def allowed(self, path: str, values: Any) -> bool:
        return bool(Draft202012Validator(bodyOf(path)).is_valid(values))


class DescribedTests(FuzzTestCase):
    """
    What the description allows.
    """

    def test_itself(self) -> None:
        """
        It is an OpenAPI description, all of whose schemas are JSON Schema and used.
        """
        schemas = DESCRIPTION["components"]["schemas"]
        for schema in schemas.values():
            Draft202012Validator.check_schema(schema)
        text = json.dumps(DESCRIPTION)
        for name in schemas:
            self.assertIn(f'"#/components/schemas/{name}"', text)
        for path, item in DESCRIPTION["paths"].items():
            [operation] = item.values()
            self.assertTrue(operation["summary"], path)
            self.assertTrue(any(code.startswith("2") for code in operation["responses"]), path)

    def test_reads(self) -> None:
        """
        Everything that can be read is as described, in every phase of a stop.
        """
        for _ in range(4):
            for path in READS:
                if path == "/events":
                    continue
                self.described("get", path, self.get(path))
            self.terminator.terminate()
            self.clock.advance(4.0)

    def test_query(self) -> None:
        """
        Every query that is allowed is answered as described; whatever else is refused.
        """
        parameters = DESCRIPTION["paths"]["/connections"]["get"]["parameters"]
        known = {each["name"]: valuesOf(each["schema"]) for each in parameters}

        @MANY
        @given(
            st.fixed_dictionaries({}, optional=known), st.dictionaries(VISIBLE, VISIBLE, max_size=1)
        )
        def ask(values: dict[str, Any], more: dict[str, str]) -> None:
            from urllib.parse import urlencode

            answer = self.get(f"/connections?{urlencode({**values, **more})}")
            self.described("get", "/connections", answer)
            if not more and "peer" not in values:
                self.assertEqual(answer.code, 200, answer.body)

        ask()

    def test_acts(self) -> None:
        """
        Every body that is allowed has an answer that is described.
        """

        @MANY
        @given(st.data())
        def ask(data: st.DataObject) -> None:
            path = data.draw(st.sampled_from(ACTS))
            values = data.draw(valuesOf(bodyOf(path)))
            self.described("post", path, self.post(path, values))
            if data.draw(st.booleans()):
                self.renew()

        ask()


class OddTests(FuzzTestCase):
    """
    What it does not allow.
    """

    def test_bodies(self) -> None:
        """
        A body that is not allowed is refused, and nothing happens.
        """

        @MANY
        @given(st.sampled_from(ACTS), JSON)
        def ask(path: str, values: Any) -> None:
            if values is None or self.allowed(path, values):
                return
            answer = self.post(path, values)
            if isinstance(values, dict) and None in values.values():
                # Null is as good as nothing.
                self.assertLess(answer.code, 500, answer.body)
                self.renew()
                return
            self.assertEqual(answer.code, 400, answer.body)
            self.described("post", path, answer)
            self.assertEqual((self.terminator.phase.value, self.left), ("serving", []))

        ask()

    def test_properties(self) -> None:
        """
        So is one with one property that has another type than it should.
        """

        @MANY
        @given(st.data())
        def ask(data: st.DataObject) -> None:
            path = data.draw(st.sampled_from(["/terminate", "/drain"]))
            name = data.draw(st.sampled_from(sorted(bodyOf(path)["properties"])))
            values = {name: data.draw(JSON)}
            answer = self.post(path, values)
            if not self.allowed(path, values) and values[name] is not None:
                self.assertEqual(answer.code, 400, (values, answer.body))
            self.described("post", path, answer)
            if answer.code < 300:
                self.renew()

        ask()

    def test_heads(self) -> None:
        """
        Whatever path, method and headers there are, the answer is one line of why not; and it is
        no fault of ours.
        """

        @MANY
        @given(
            st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "CONNECT", "get"]) | VISIBLE,
            st.sampled_from([*READS, *ACTS]) | VISIBLE.map(lambda text: f"/{text}"),
            VISIBLE,
            VISIBLE,
        )
        def ask(method: str, path: str, origin: str, site: str) -> None:
            if path.startswith("/events") or not method:
                return
            headers = {"Origin": origin, "Sec_Fetch_Site": site}
            raw = question(path, method, **headers)
            talk = self.talk()
            talk.say(raw)
            heard = talk.heard()
            if method == "HEAD":
                self.assertTrue(heard.startswith(b"HTTP/1.1 "))
                return
            answer, rest = parsed(heard)
            self.assertEqual(rest, b"")
            self.assertLess(answer.code, 500, answer.body)
            self.assertEqual(self.left, [])

        ask()

    def test_bytes(self) -> None:
        """
        Whatever bytes come, in whatever pieces, whoever sends them is answered or lost in time,
        and the next one is served.
        """
        start = st.sampled_from(
            [b"", b"GET /status HTTP/1.1\r\n", question("/drain", "POST", b"{}")[:-4]]
        )

        @MANY
        @given(start, st.lists(st.binary(max_size=60), max_size=5))
        def send(first: bytes, pieces: list[bytes]) -> None:
            talk = Talk(self.site)
            self.site.visitors.come(talk.transport)
            for piece in (first, *pieces):
                if talk.transport.connected:
                    talk.say(piece)
            self.clock.advance(16.0)
            self.assertFalse(talk.transport.connected)
            self.site.visitors.gone(talk.transport)
            self.assertEqual(self.get("/live").code, 200)

        send()


class SchemaTests(SynchronousTestCase):
    """
    The fuzzing itself sees what it should.
    """

    def test_validates(self) -> None:
        """
        An answer that lacks something, or has too much, is no good.
        """
        whole = {"$ref": "#/components/schemas/Startup", "components": DESCRIPTION["components"]}
        validator = Draft202012Validator(whole)
        self.assertTrue(validator.is_valid({"status": "started"}))
        for bad in ({}, {"status": "sleepy"}, {"status": "started", "more": 1}):
            self.assertFalse(validator.is_valid(bad))

// Requests for fuzzing one operation of the OpenAPI document: mostly right, and wrong in one way each.
import fc, { type Arbitrary } from "fast-check";
import { type Components, hostileText, hostileValue, type Schema, validValue } from "./values.ts";

export interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required?: boolean;
  readonly schema: Schema;
}
export interface Operation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly Parameter[];
  /** By media type; empty where it takes no body. */
  readonly bodies: Readonly<Record<string, Schema>>;
}
export interface Input {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | null;
}

/** Names of things that are there, by parameter. */
export type Known = Readonly<Record<string, string>>;

const TYPES = ["text/plain", "application/json; charset=utf-16", "application/x-www-form-urlencoded", "multipart/form-data", "", "x", "application/xml", "application/problem+json"]; // prettier-ignore
const RAW_BODIES = [
  "",
  "{",
  '{"name": "a"',
  "[".repeat(100_000),
  `${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`,
  '{"name":"a","name":"b"}',
  '{"__proto__":{"operator":true},"constructor":{"prototype":{"operator":true}}}',
  "\ufeff{}",
  "{}\u0000",
  '{"name":"\\u0000"}',
  '{"name":"\\ud800"}',
  '{"replicas":1e400,"port":-1e400}',
  '{"version":99999999999999999999999999999999}',
  '"text"',
  "1",
  "true",
  "null",
  "NaN",
  "{'name':'a'}",
  '{"a":1}{"b":2}',
];
const RAW_BYTES = [Uint8Array.of(0xff, 0xfe, 0x7b, 0), Uint8Array.of(0xc3, 0x28), Uint8Array.of(0x1f, 0x8b, 8, 0), new Uint8Array(1_100_000).fill(0x20)]; // prettier-ignore
/** Half of an escape, what is no UTF-8, and what routers might take for another path. */
const RAW_SEGMENTS = ["%", "%zz", "%00", "%ff", "%c3%28", "..", ".", "%2e%2e", "%2f", "a%2fb", ";", "*", "a".repeat(5_000), "%F0%9F%98%80", "%E2%80%AE"]; // prettier-ignore
const HEADERS: readonly [string, readonly string[]][] = [
  ["idempotency-key", ["", "a b", "k".repeat(256), "same"]],
  ["if-match", ["", "*", 'W/"1"', '"']],
  ["last-event-id", ["-1", "1e9", "9".repeat(40), "x"]],
  ["berth-team", ["nobody", "team_x", "__proto__"]],
  ["x-request-id", ["a".repeat(1_000), "<x>", "%0a"]],
  ["user-agent", ["\u001b[31m", "a".repeat(10_000)]],
  ["accept", ["text/html", "*/*;q=x"]],
  ["content-encoding", ["gzip", "br"]],
  ["cookie", ["a=b", `x=${"y".repeat(5_000)}`]],
  ["x-long", ["a".repeat(1_000_000)]],
];

/** The query of a URL has no lone surrogates: encodeURIComponent refuses them, as clients' libraries do. */
const encoded = (text: string): string => encodeURIComponent(text.toWellFormed());

export function inputsOf(operation: Operation, components: Components, known: Known): Arbitrary<Input> {
  const { method, parameters, bodies } = operation;
  const type = Object.keys(bodies)[0];
  return fc
    .record({
      path: pathOf(operation, components, known),
      query: queryOf(parameters, components),
      header: fc.option(fc.constantFrom(...HEADERS).chain(([name, values]) => fc.tuple(fc.constant(name), fc.constantFrom(...values))), { freq: 6 }), // prettier-ignore
      body: type === undefined ? oddBody() : bodyOf(type, bodies[type] ?? {}, components),
    })
    .map(({ path, query, header, body }) => ({
      method,
      path: query === "" ? path : `${path}?${query}`,
      headers: {
        ...(body.type === "" ? {} : { "content-type": body.type }),
        ...(header ? { [header[0]]: header[1] } : {}),
      },
      body: method === "GET" ? null : body.content,
    }));
}

interface Body {
  readonly type: string;
  readonly content: string | Uint8Array | null;
}

/** Where none is taken. */
const oddBody = (): Arbitrary<Body> =>
  fc.oneof(
    { weight: 9, arbitrary: fc.constant({ type: "", content: null }) },
    { weight: 1, arbitrary: fc.constantFrom(...RAW_BODIES).map((content) => ({ type: "application/json", content })) },
  );

function bodyOf(type: string, schema: Schema, components: Components): Arbitrary<Body> {
  if (type !== "application/json") return fc.constantFrom<Body>({ type, content: "x" }, { type: "text/plain", content: "x" }, { type, content: "" }); // prettier-ignore
  const valid = validValue(schema, components);
  const text = (value: unknown): Body => ({ type, content: JSON.stringify(value) ?? "" });
  return fc.oneof(
    { weight: 12, arbitrary: valid.map(text) },
    {
      weight: 55,
      arbitrary: fc.tuple(valid, fc.nat(), hostileValue).map(([value, at, odd]) => text(broken(value, at, odd))),
    },
    { weight: 8, arbitrary: hostileValue.map(text) },
    { weight: 5, arbitrary: fc.tuple(valid, fc.nat()).map(([value, at]) => truncated(text(value), at)) },
    { weight: 12, arbitrary: fc.constantFrom<string | Uint8Array>(...RAW_BODIES, ...RAW_BYTES).map((content) => ({ type, content })) }, // prettier-ignore
    { weight: 8, arbitrary: fc.tuple(valid, fc.constantFrom(...TYPES)).map(([value, odd]) => ({ ...text(value), type: odd })) }, // prettier-ignore
  );
}

const truncated = ({ type, content }: Body, at: number): Body => {
  const text = String(content);
  return { type, content: text.slice(0, at % Math.max(1, text.length)) };
};

/** At one place of the value stands something else; or a field is gone, or one too many. */
function broken(value: unknown, at: number, odd: unknown): unknown {
  const places = placesIn(value);
  const place = places[at % places.length] ?? [];
  const way = Math.floor(at / Math.max(1, places.length)) % 5;
  if (way === 0 && typeof value === "object" && value !== null)
    return { ...value, [typeof odd === "string" ? odd : "odd"]: odd };
  return replaced(value, place, way === 1 ? undefined : odd);
}

function placesIn(value: unknown, at: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== "object" || value === null) return [at];
  return [at, ...Object.entries(value).flatMap(([key, inner]) => placesIn(inner, [...at, key]))];
}

function replaced(value: unknown, [key, ...rest]: readonly string[], odd: unknown): unknown {
  if (key === undefined || typeof value !== "object" || value === null) return odd;
  const copy = (Array.isArray(value) ? [...(value as unknown[])] : { ...value }) as Record<string, unknown>;
  copy[key] = replaced(copy[key], rest, odd);
  return copy;
}

function pathOf({ path, parameters }: Operation, components: Components, known: Known): Arbitrary<string> {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
  const segments = names.map((name) => {
    const schema = parameters.find((one) => one.in === "path" && one.name === name)?.schema ?? {};
    const there = known[name];
    return fc.oneof(
      { weight: there === undefined ? 0 : 20, arbitrary: fc.constant(encodeURIComponent(there ?? "")) },
      { weight: 6, arbitrary: validValue(schema, components).map((value) => encoded(String(value))) },
      { weight: 8, arbitrary: hostileText.map((text) => encoded(text) || "%20") },
      { weight: 6, arbitrary: fc.constantFrom(...RAW_SEGMENTS) },
    );
  });
  return fc.tuple(...segments).map((values) => path.replaceAll(/\{(\w+)\}/g, (_, name: string) => values[names.indexOf(name)] ?? "")); // prettier-ignore
}

function queryOf(parameters: readonly Parameter[], components: Components): Arbitrary<string> {
  const pairs = parameters
    .filter((one) => one.in === "query")
    .map(({ name, schema, required = false }) => {
      const valid = validValue(schema, components).map((value) => `${name}=${encoded(String(value))}`);
      const hostile = hostileText.map((text) => `${name}=${encoded(text)}`);
      const raw = fc.constantFrom(...RAW_SEGMENTS).map((text) => `${name}=${text}`);
      const twice = hostileText.map((text) => `${name}=1&${name}=${encoded(text)}`);
      const none = fc.constant("");
      return fc.oneof(
        { weight: required ? 1 : 10, arbitrary: none },
        { weight: 6, arbitrary: valid },
        hostile,
        raw,
        twice,
      );
    });
  const surplus = fc.constantFrom("", "", "", "", "", "", "odd=1", "__proto__=1", "%", "&&=&");
  return fc.tuple(surplus, ...pairs).map((all) => all.filter((pair) => pair !== "").join("&"));
}

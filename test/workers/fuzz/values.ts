// Values for fuzzing: what a JSON schema allows, and what nobody expects at the same place.
import fc, { type Arbitrary } from "fast-check";

export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly pattern?: string;
  readonly format?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
}
export type Components = Readonly<Record<string, Schema>>;

const HOSTILE_TEXTS = [
  "",
  " ",
  "\u0000",
  "a\u0000b",
  "\ud800",
  "\udfff\ud800",
  "\u202e\u2066\u200b\ufeff",
  "e\u0301".repeat(200),
  "Z\u0351\u036b\u0343\u036a",
  "😀👩‍👩‍👧‍👦",
  "İıŞß",
  "../../../../etc/passwd",
  "..%2f..%2f",
  "'; DROP TABLE apps; --",
  "${jndi:ldap://127.0.0.1/a}",
  "{{7*7}}",
  "<script>alert(1)</script>",
  "\r\nset-cookie: a=b",
  "\u001b[2J\u001b]0;title\u0007",
  "__proto__",
  "constructor",
  "NaN",
  "1e309",
  "null",
  "-0",
  "%",
  "%00",
  "\\",
  "a".repeat(10_000),
  "٣".repeat(64),
];
const HOSTILE_NUMBERS = [
  0,
  -0,
  -1,
  0.1,
  1e-320,
  1e21,
  1e308,
  2 ** 31,
  2 ** 53,
  2 ** 63,
  -(2 ** 63),
  253_402_300_800_000,
];

const deep = (levels: number): unknown => {
  let value: unknown = 1;
  for (let level = 0; level < levels; level += 1) value = level % 2 === 0 ? [value] : { a: value };
  return value;
};

export const hostileText: Arbitrary<string> = fc.oneof(
  fc.constantFrom(...HOSTILE_TEXTS),
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({ unit: "grapheme", maxLength: 40 }),
);

export const hostileValue: Arbitrary<unknown> = fc.oneof(
  hostileText,
  fc.constantFrom<unknown>(...HOSTILE_NUMBERS),
  fc.constantFrom<unknown>(null, true, false, [], {}, [[]], [null], { __proto__: 1 }),
  fc.constantFrom<unknown>(
    deep(50),
    deep(500),
    Array.from({ length: 2_000 }, (_, index) => index),
  ),
  fc.record({ constructor: hostileText, kind: hostileText }),
  fc.double(),
  fc.maxSafeInteger(),
);

/** What the schema allows, mostly; where a rule cannot be generated from, what comes is near it. */
export function validValue(schema: Schema, components: Components, levels = 6): Arbitrary<unknown> {
  const of = (inner: Schema): Arbitrary<unknown> => validValue(inner, components, levels - 1);
  if (levels <= 0) return fc.constant(null);
  if (schema.$ref !== undefined) return of(components[schema.$ref.split("/").at(-1) ?? ""] ?? {});
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) return fc.oneof(...choices.map(of));
  if (schema.allOf !== undefined) {
    return fc.tuple(...schema.allOf.map(of)).map((parts) => Object.assign({}, ...(parts as object[])) as unknown);
  }
  const types = [schema.type ?? []].flat();
  if (types.length > 1) return fc.oneof(...types.map((type) => of({ ...schema, type })));
  return ofType(types[0], schema, of);
}

function ofType(
  type: string | undefined,
  schema: Schema,
  of: (inner: Schema) => Arbitrary<unknown>,
): Arbitrary<unknown> {
  switch (type) {
    case "string":
      return textOf(schema);
    case "integer":
    case "number": {
      const max = Math.floor(Math.min(schema.maximum ?? Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER));
      const min = Math.ceil(Math.max(schema.minimum ?? schema.exclusiveMinimum ?? 0, -Number.MAX_SAFE_INTEGER));
      return fc.integer({ min: Math.min(min, max), max });
    }
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "array": {
      const minLength = schema.minItems ?? 0;
      return fc.array(of(schema.items ?? {}), {
        minLength,
        maxLength: Math.max(minLength, Math.min(schema.maxItems ?? 3, 3)),
      });
    }
    case "object":
      return objectOf(schema, of);
    default:
      return fc.jsonValue();
  }
}

/** Fields whose rules no schema tells: without these hardly any input would get as far as the handlers. */
const HINTS: Readonly<Record<string, Arbitrary<unknown>>> = {
  reference: fc.constantFrom("nginx:1.29", "ghcr.io/team/app:1", "127.0.0.1:5000/a"),
  path: fc.constantFrom("/", "/healthz?x=1"),
  scopes: fc.constantFrom([], ["*"], ["app:read"]),
};

function objectOf(schema: Schema, of: (inner: Schema) => Arbitrary<unknown>): Arbitrary<unknown> {
  const { properties = {}, required = [], additionalProperties } = schema;
  const fields = Object.fromEntries(
    Object.entries(properties).map(([name, inner]) => [name, HINTS[name] ?? of(inner)]),
  );
  const known = fc.record(fields, { requiredKeys: required.filter((name) => name in fields) });
  if (typeof additionalProperties !== "object") return known;
  const more = fc.dictionary(fc.stringMatching(/^[A-Z]{1,8}$/), of(additionalProperties), { maxKeys: 3 });
  return fc.tuple(known, more).map(([one, other]) => ({ ...one, ...other }));
}

function textOf({ pattern, format, minLength = 0, maxLength }: Schema): Arbitrary<string> {
  if (pattern !== undefined) {
    try {
      return fc.stringMatching(new RegExp(pattern));
    } catch {
      // A look-ahead, which nothing can be generated from.
      return fc.stringMatching(/^[a-z][a-z0-9]{3,20}$/);
    }
  }
  if (format === "email") return fc.stringMatching(/^[a-z]{1,8}@example\.com$/);
  if (format === "uri") return fc.constantFrom("https://example.com/a", "http://127.0.0.1/", "https://[::1]/");
  return fc.string({ minLength, maxLength: Math.max(minLength, Math.min(maxLength ?? 64, 200)) });
}

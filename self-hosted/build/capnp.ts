// Cap'n Proto's text format, as far as a workerd configuration needs it: values are strings, lists and structs.

/** Code in a file beside the configuration. */
export class Embedded {
  readonly path: string;
  constructor(path: string) {
    this.path = path;
  }
}

export type Value = string | boolean | Embedded | readonly Value[] | { readonly [field: string]: Value };

export function renderValue(value: Value, indent = ""): string {
  if (typeof value === "string") return quoted(value);
  if (typeof value === "boolean") return String(value);
  if (value instanceof Embedded) return `embed ${quoted(value.path)}`;
  const inner = `${indent}  `;
  if (isList(value)) {
    if (value.length === 0) return "[]";
    return `[\n${value.map((one) => `${inner}${renderValue(one, inner)}`).join(",\n")}\n${indent}]`;
  }
  const fields = Object.entries(value).map(([name, field]) => `${name} = ${renderValue(field, inner)}`);
  return `(${fields.join(", ")})`;
}

const isList = (value: Value): value is readonly Value[] => Array.isArray(value);

function quoted(text: string): string {
  // oxlint-disable-next-line no-control-regex -- exactly these have no place in a configuration
  if (/[\u0000-\u001f\u007f]/.test(text)) throw new Error(`a control character in ${JSON.stringify(text)}`);
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

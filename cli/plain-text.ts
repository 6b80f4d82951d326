// What others wrote (nodes, apps, people), made harmless to print: a terminal obeys control characters wherever they come from.

/** All but tab and line feed; and those that turn the direction of text around. */
const CONTROLS = /(?![\t\n])[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu;

/** The same value, with every text in it (names of fields too) without control characters. */
export function plain<Value>(value: Value): Value {
  return plainOf(value) as Value;
}

function plainOf(value: unknown): unknown {
  if (typeof value === "string") return value.replace(CONTROLS, "");
  if (Array.isArray(value)) return value.map(plainOf);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [plainOf(name), plainOf(field)]));
}

/** JSON for programs says everything, and is harmless on a terminal too: what JSON itself does not escape of these is. */
export function jsonText(value: unknown, indent = 0): string {
  const escaped = (control: string): string => `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(value, null, indent).replace(CONTROLS, escaped);
}

// How numbers become keys that sort, and how a request becomes a short text that tells it from another.

/** Zero-padded so that keys sort like their numbers. */
export const seqKey = (seq: number): string => String(seq).padStart(16, "0");

/** JSON with sorted keys and without undefined: equal values give equal text. */
function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  fields.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonicalJson(field)}`).join(",")}}`;
}

/** 128 bits of a value (four mixed 32-bit lanes). Tells bodies apart under one caller's own key; it is no signature. */
export function fingerprintOf(value: unknown): string {
  const text = canonicalJson(value);
  const lanes = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344];
  const factors = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f];
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    for (let lane = 0; lane < 4; lane += 1) {
      const mixed = Math.imul((lanes[lane]! ^ code) + lanes[(lane + 1) & 3]!, factors[lane]!);
      lanes[lane] = mixed ^ (mixed >>> 15);
    }
  }
  return `${text.length.toString(16)}-${lanes.map((lane) => (lane >>> 0).toString(16).padStart(8, "0")).join("")}`;
}

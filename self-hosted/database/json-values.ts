// Postgres' text as JSON, for requests that do not ask for raw text: as Neon's proxy converts, the rest stays text.

const BOOL = 16;
const INT2 = 21;
const INT4 = 23;
const FLOAT4 = 700;
const FLOAT8 = 701;
const JSON_OID = 114;
const JSONB = 3802;

export function toJsonValue(text: string | null, typeOid: number): unknown {
  if (text === null) return null;
  switch (typeOid) {
    case BOOL:
      return text === "t";
    case INT2:
    case INT4:
      return Number(text);
    case FLOAT4:
    case FLOAT8: {
      const number = Number(text);
      return Number.isFinite(number) ? number : text;
    }
    case JSON_OID:
    case JSONB:
      return JSON.parse(text) as unknown;
    default:
      return text;
  }
}

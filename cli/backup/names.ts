// What a backup among others is called: by the moment it was begun.

/** `berth-2026-11-21T10-00-00Z-1a2b3c4d.age` */
const NAME = /^berth-(\d{4}-\d{2}-\d{2})T(\d{2})-(\d{2})-(\d{2})Z-[0-9a-f]{8}\.age$/;

export function nameOf(startedAtMs: number, id: string): string {
  const at = new Date(startedAtMs).toISOString().slice(0, 19).replaceAll(":", "-");
  return `berth-${at}Z-${id.slice(0, 8)}.age`;
}

export function atMsOf(name: string): number | null {
  const [, date, hours, minutes, seconds] = NAME.exec(name) ?? [];
  return date === undefined ? null : Date.parse(`${date}T${hours}:${minutes}:${seconds}Z`);
}

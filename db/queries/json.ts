// JSON that Postgres will take: it refuses NUL characters and halves of surrogate pairs, which a container's log may well hold.

/** As text for a `::jsonb` parameter; what jsonb cannot hold becomes U+FFFD, because one such line must not hold up an outbox. */
export function storable(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => (typeof part === "string" ? storableText(part) : part));
}

function storableText(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\uFFFD");
}

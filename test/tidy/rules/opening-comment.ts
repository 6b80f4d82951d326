// Rule: a file opens with a comment that says what it owns.
import type { Finding, SourceFile } from "../source-file.ts";

/** Shorter than this, it says nothing. */
const charactersMin = 15;

export function openingComment(file: SourceFile): Finding[] {
  const shebangEnd = file.text.startsWith("#!") ? file.text.indexOf("\n") + 1 : 0;
  const first = file.comments.find(({ start }) => start >= shebangEnd);
  const opens = first !== undefined && file.text.slice(shebangEnd, first.start).trim() === "";
  if (opens && first.text.trim().length >= charactersMin) return [];
  return [
    { rule: "opening-comment", path: file.path, line: 1, message: "does not open with a comment on what it owns" },
  ];
}

// The lines of a backup: header, sections, and a footer that says how many lines each has and what they hash to.
import { createHash, type Hash } from "node:crypto";
import { BACKUP_FORMAT, BackupFooter, BackupHeader, BackupSection } from "../../contracts/backup.ts";
import { CommandFailure, EXIT } from "../failure.ts";

/** Names of sections that are not tables. */
export const OBJECTS = "objects";
export const DOCUMENTS = "documents";
export const BUNDLES = "bundles";
export const tableSection = (table: string): string => `table:${table}`;

interface Counted {
  readonly name: string;
  lines: number;
  readonly hash: Hash;
}

/** Makes the lines; each ends with a line break. */
export class SectionWriter {
  readonly #sections: Counted[] = [];

  header(header: BackupHeader): string {
    return `${JSON.stringify(header)}\n`;
  }

  begin(name: string, columns?: readonly string[]): string {
    this.#sections.push({ name, lines: 0, hash: createHash("sha256") });
    return `${JSON.stringify({ kind: "section", name, ...(columns ? { columns } : {}) })}\n`;
  }

  lines(lines: readonly string[]): string {
    const section = this.#sections.at(-1)!;
    const text = lines.map((line) => `${line}\n`).join("");
    section.lines += lines.length;
    section.hash.update(text);
    return text;
  }

  footer(endedAtMs: number): string {
    const sections = this.#sections.map(({ name, lines, hash }) => ({ name, lines, sha256: hash.digest("hex") }));
    return `${JSON.stringify({ kind: "footer", endedAtMs, sections } satisfies BackupFooter)}\n`;
  }
}

export interface SectionReader {
  readonly header: (header: BackupHeader) => void | Promise<void>;
  readonly section: (section: BackupSection) => void | Promise<void>;
  readonly line: (line: string, section: BackupSection) => void | Promise<void>;
}

const damaged = (what: string) =>
  new CommandFailure(`The backup is damaged: ${what}`, EXIT.failed, "Take an older one; nothing was written.");

/** Reads to the end and compares with the footer. Whoever acts on lines before that does so at his own risk. */
export async function readSections(
  lines: AsyncIterable<string>,
  reader: Partial<SectionReader>,
): Promise<BackupFooter> {
  let header: BackupHeader | null = null;
  let section: BackupSection | null = null;
  const read: Counted[] = [];
  for await (const line of lines) {
    if (header === null) {
      header = headerOf(line);
      await reader.header?.(header);
    } else if (line.startsWith('{"kind":"section"')) {
      section = BackupSection.parse(JSON.parse(line));
      read.push({ name: section.name, lines: 0, hash: createHash("sha256") });
      await reader.section?.(section);
    } else if (line.startsWith('{"kind":"footer"')) {
      return compared(BackupFooter.parse(JSON.parse(line)), read);
    } else if (section === null) {
      throw damaged("it has lines that belong to no section");
    } else {
      const counted = read.at(-1)!;
      counted.lines += 1;
      counted.hash.update(`${line}\n`);
      await reader.line?.(line, section);
    }
  }
  throw damaged("its end is missing");
}

function headerOf(line: string): BackupHeader {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    throw damaged("its first line is not its header");
  }
  const format = (json as { format?: unknown } | null)?.format;
  if (typeof format === "number" && format > BACKUP_FORMAT) {
    throw new CommandFailure(
      `The backup has format ${format}, and this version reads up to ${BACKUP_FORMAT}`,
      EXIT.failed,
      "Restore it with the version that made it, or a newer one.",
    );
  }
  const parsed = BackupHeader.safeParse(json);
  if (!parsed.success) throw damaged("its first line is not its header");
  return parsed.data;
}

function compared(footer: BackupFooter, read: readonly Counted[]): BackupFooter {
  if (footer.sections.length !== read.length) throw damaged(`${read.length} sections of ${footer.sections.length}`);
  for (const [at, { name, lines, sha256 }] of footer.sections.entries()) {
    const own = read[at]!;
    if (own.name !== name || own.lines !== lines) throw damaged(`${name} has ${own.lines} lines of ${lines}`);
    if (own.hash.digest("hex") !== sha256) throw damaged(`${name} is not what was written`);
  }
  return footer;
}

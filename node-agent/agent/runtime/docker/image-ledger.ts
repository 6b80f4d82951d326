// Which images this agent used and when, on disk: what it pulled itself it may remove, and the newest use is told first.
import { join } from "node:path";
import { z } from "zod";
import { readJsonFile, writeAtomically } from "../../state/durable-file.ts";

const FILE = "images.json";
/** Beyond what any node holds; the least recently used go first. */
const ROWS_MAX = 1_000;

/**
 * image: the Engine's id. digest: what the release was pinned to. usedAtMs: by this host's wall clock. teams: it was pulled with a
 * credential, and to these the registry has shown it; absent: to anybody.
 */
const Row = z.object({
  image: z.string(),
  digest: z.string(),
  usedAtMs: z.number(),
  pulled: z.boolean(),
  teams: z.array(z.string()).optional(),
});
type Row = z.infer<typeof Row>;

interface Use {
  readonly pulled: boolean;
  /** null: to anybody. */
  readonly shownTo: string | null;
}

/** What anybody could pull once is nobody's secret. */
function teamsAfter(before: Row | undefined, shownTo: string | null): string[] | undefined {
  if (shownTo === null || (before !== undefined && before.teams === undefined)) return undefined;
  return [...new Set([...(before?.teams ?? []), shownTo])];
}

export class ImageLedger {
  readonly #path: string;
  #rows: Map<string, Row> | null = null;
  #writing: Promise<void> = Promise.resolve();

  constructor(dir: string) {
    this.#path = join(dir, FILE);
  }

  /** pulled: by us and just now; what was pulled once stays known as such. shownTo: see `teams`. */
  async used(image: string, digest: string, { pulled, shownTo }: Use): Promise<void> {
    const rows = await this.#load();
    const before = rows.get(image);
    rows.delete(image);
    const teams = teamsAfter(before, shownTo);
    const use = { image, digest, usedAtMs: Date.now(), pulled: pulled || (before?.pulled ?? false) };
    rows.set(image, teams === undefined ? use : { ...use, teams });
    if (rows.size > ROWS_MAX) rows.delete(rows.keys().next().value as string);
    await this.#save(rows);
  }

  async of(image: string): Promise<Row | undefined> {
    return (await this.#load()).get(image);
  }

  async forget(image: string): Promise<void> {
    const rows = await this.#load();
    if (rows.delete(image)) await this.#save(rows);
  }

  /** A file that cannot be read costs images that nobody removes any more, and no more than that. */
  async #load(): Promise<Map<string, Row>> {
    if (this.#rows !== null) return this.#rows;
    const stored = (await readJsonFile(this.#path, z.array(Row)).catch(() => null)) ?? [];
    this.#rows ??= new Map(stored.map((row) => [row.image, row]));
    return this.#rows;
  }

  #save(rows: Map<string, Row>): Promise<void> {
    const write = this.#writing
      .catch(() => undefined)
      .then(() => writeAtomically(this.#path, JSON.stringify([...rows.values()])));
    this.#writing = write;
    return write;
  }
}

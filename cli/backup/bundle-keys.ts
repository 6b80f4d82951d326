// Which bundles an App's state refers to: those of the releases that it keeps, which a new instance or a rollback may need.
import { BundleKey, type ObjectPage } from "../../contracts/backup.ts";
import type { Release } from "../../contracts/release.ts";

/** Takes the pages of an object in order. */
export class BundleKeys {
  readonly found = new Set<BundleKey>();
  /** Of the object whose pages come: its rows come in any order. */
  #app: { name: string; team: string | null; hashes: string[] } | null = null;

  take({ kind, name, page, pages, text }: ObjectPage): void {
    if (kind !== "app") return;
    if (page === 0) this.#app = { name, team: null, hashes: [] };
    const app = this.#app;
    if (app?.name !== name) throw new Error(`a page of ${name} came before its first`);
    for (const line of text.split("\n")) {
      if (line.startsWith('["app",')) {
        const [, , { team, phase }] = JSON.parse(line) as [string, string, { team: string; phase: string }];
        // Of one that was deleted nothing is started again.
        app.team = phase === "destroyed" ? null : team;
      } else if (line.startsWith('["releases",')) {
        const { source } = (JSON.parse(line) as [string, string, { release: Release }])[2].release.spec;
        if (source.kind === "bundle") app.hashes.push(source.hash);
      }
    }
    if (page < pages - 1 || app.team === null) return;
    for (const hash of app.hashes) this.found.add(BundleKey.parse(`bundles/${app.team}/${hash}`));
  }
}

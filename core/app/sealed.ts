// What an App holds sealed, page by page, and the same values wrapped under a newer key: nothing else of it changes, and nobody is told.
import type { AppId, TeamId } from "../../contracts/ids.ts";
import { readReference } from "../../contracts/environment.ts";
import type { Result } from "../../contracts/failures.ts";
import { ok } from "../results.ts";
import { appOf, type AppContext } from "./context.ts";
import { isReferencesKey } from "./references.ts";
import type { AppInputs } from "./types.ts";

/** key: of the environment. name: the variable. */
export interface SealedItem {
  readonly key: string;
  readonly name: string;
  readonly sealed: string;
}
export interface SealedPage {
  readonly team: TeamId;
  readonly app: AppId;
  readonly items: readonly SealedItem[];
  /** Of the next page; null: this was the last. */
  readonly after: string | null;
}

/** Of one answer; a single environment may have more (environmentBytesMax). */
const PAGE_BYTES = 200_000;

export function readSealed(ctx: AppContext, { after }: AppInputs["readSealed"]): Result<SealedPage> {
  const { team, app } = appOf(ctx);
  const rows = [...ctx.draft.entries("environments")].filter(
    ([key]) => !isReferencesKey(key) && (after === null || key > after),
  );
  rows.sort(([one], [other]) => (one < other ? -1 : 1));
  const items: SealedItem[] = [];
  let bytes = 0;
  for (const [index, [key, environment]] of rows.entries()) {
    for (const [name, sealed] of Object.entries(environment)) {
      if (readReference(sealed) !== null) continue;
      items.push({ key, name, sealed });
      bytes += sealed.length;
    }
    if (bytes >= PAGE_BYTES && index < rows.length - 1) return ok({ team, app, items, after: key });
  }
  return ok({ team, app, items, after: null });
}

/** Only where it is still what was read: what changed meanwhile was sealed by whoever changed it. */
export function rewrap({ draft }: AppContext, { items }: AppInputs["rewrap"]): Result<{ changed: number }> {
  let changed = 0;
  for (const { key, name, sealed: before, fresh } of items) {
    const environment = draft.get("environments", key);
    if (environment?.[name] !== before) continue;
    draft.put("environments", key, { ...environment, [name]: fresh });
    changed += 1;
  }
  return ok({ changed });
}

// Releases as other parts see them: which one a rollback goes to, and by what name a node keeps a release's image.
import type { Target } from "../rollout/types.ts";
import { appOf, type AppContext } from "./context.ts";
import { targetsOf } from "./split.ts";
import type { ReleaseRow } from "./types.ts";

/**
 * What served before `current` came into service: not the newest older one, which may be what was rolled back from. Where that is not
 * kept or not known, the newest older one that ever served.
 */
export function earlierRelease(ctx: AppContext, current: Target | null): ReleaseRow | null {
  if (!current) return null;
  const after = ctx.draft.get("releases", current.release)?.after;
  const before = after ? ctx.draft.get("releases", after) : undefined;
  if (before && before.release.id !== current.release) return before;
  let best: ReleaseRow | null = null;
  for (const row of ctx.draft.values("releases")) {
    const older = row.completed && row.release.version < current.version;
    if (older && (!best || row.release.version > best.release.version)) best = row;
  }
  return best;
}

/** The digest, once an instance resolved it, or the bundle's hash. */
export function imageOf({ release }: ReleaseRow): string | null {
  const { source } = release.spec;
  return source.kind === "image" ? release.digest : source.hash;
}

/** What a rollback from now may need: nodes that have these need not pull them then. */
export function imagesToKeep(ctx: AppContext): string[] {
  const { current } = appOf(ctx);
  const kept = [
    ...targetsOf(ctx).map(({ release }) => ctx.draft.get("releases", release)),
    earlierRelease(ctx, current),
  ];
  return [...new Set(kept.flatMap((row) => (row ? (imageOf(row) ?? []) : [])))];
}

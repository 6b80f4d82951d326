// Which kept releases may be brought back by name: not one whose command before never ended well; one that a check refused only by force.
import type { Result } from "../../contracts/failures.ts";
import type { ReleaseId } from "../../contracts/ids.ts";
import { isActive } from "../rollout/types.ts";
import type { AppContext } from "./context.ts";
import type { ReleaseRow } from "./types.ts";

const fault = (message: string, rule: string, pointer: string): Result<never> => ({
  ok: false,
  failure: { code: "unprocessable", message, errors: [{ pointer, rule, message }] },
});

export function unfitFault(
  ctx: AppContext,
  row: ReleaseRow,
  force: boolean,
  pointer = "/version",
): Result<never> | null {
  const { release, prepared = true, rejected } = row;
  const name = `v${release.version}`;
  if (!prepared) {
    const why = unpreparedText(ctx, release.id);
    return fault(`${name} cannot serve: ${why}. Deploy it anew, which runs the command again.`, "prepared", pointer);
  }
  if (!rejected || force) return null;
  const by = rejected.by === "smoke" ? "it failed its smoke check" : "its judge rejected it";
  const message = `${name} has not passed its checks: ${by} (${rejected.message}). Deploy a mended one; or, if you know better, insist: force (\`--force\`).`;
  return fault(message, "rejected", pointer);
}

/** What is scaled to zero would be in service afterwards, without its command. */
export function unpreparedFault(ctx: AppContext, { release }: { readonly release: ReleaseId }): Result<never> | null {
  const row = ctx.draft.get("releases", release);
  if (!row || (row.prepared ?? true)) return null;
  const message = `v${row.release.version} cannot be scaled to zero yet: ${unpreparedText(ctx, release)}. Wait for it, or cancel the rollout, and nothing of it runs.`;
  return fault(message, "prepared", "/replicas");
}

function unpreparedText(ctx: AppContext, release: ReleaseId): string {
  const [last] = [...ctx.draft.values("rollouts")]
    .filter(({ to, plan }) => to.release === release && plan?.before)
    .sort((a, b) => b.startedAtMs - a.startedAtMs);
  if (last && isActive(last.phase)) return "its command before the release is still running";
  const failure = last?.phase.kind === "failed" ? last.phase.failure : null;
  if (failure?.kind !== "command" || failure.which !== "before") return "its command before the release never ended";
  return `its command before the release failed (${failure.message.replace(/\.$/, "")})`;
}

// What this Cell and each App have told each other so far.
import type { AppId } from "../../contracts/ids.ts";
import { ok } from "../results.ts";
import type { CellContext } from "./context.ts";
import type { AppLinkRow } from "./types.ts";

const NEW_LINK: AppLinkRow = {
  inSeq: 0,
  answer: ok(null),
  routeVersion: 0,
  watch: false,
  outSeq: 0,
  ackedSeq: 0,
  stale: false,
};

export const linkOf = (ctx: CellContext, app: AppId): AppLinkRow => ctx.draft.get("apps", app) ?? NEW_LINK;

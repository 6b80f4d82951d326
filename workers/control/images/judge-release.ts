// Whether a release's image may run: the policies that hold for its team, and then the word of the operator's scanner.
import type { ScanRequest } from "../../../contracts/image-policy.ts";
import type { AppId, TeamId } from "../../../contracts/ids.ts";
import type { Source } from "../../../contracts/release.ts";
import { judgeScan, judgeSource, type ImageName, type Judgement } from "../../../core/images/judge.ts";
import type { ImagePolicyRecord } from "../../../db/queries/image-policies.ts";
import { ApiFailure } from "../http/problem.ts";
import { askScanner } from "./ask-scanner.ts";

interface Ask {
  readonly team: TeamId;
  readonly app: AppId;
  readonly source: Source;
  /** null: a bundle. */
  readonly image: ImageName | null;
}

export interface Judged {
  /** null: it may run. */
  readonly refusal: ApiFailure | null;
  /** What the scanner looked at, where the reference names no digest. */
  readonly digest?: string;
}

export async function judgeRelease(ask: Ask, { installation, team }: ImagePolicyRecord): Promise<Judged> {
  const { image, source } = ask;
  const held = [
    { whose: "installation" as const, policy: installation.policy },
    { whose: "team" as const, policy: team.policy },
  ];
  const refusal = refusalOf(judgeSource(image, held), source);
  const { scanner } = installation.policy;
  if (refusal !== null || image === null || source.kind !== "image" || scanner === undefined) return { refusal };
  const asked: ScanRequest = { team: ask.team, app: ask.app, image: source.reference, digest: image.digest };
  const answer = await askScanner(scanner, asked);
  const digest = answer?.allowed === true && image.digest === null ? answer.digest : undefined;
  return { refusal: refusalOf(judgeScan(scanner, answer, image), source), ...(digest === undefined ? {} : { digest }) };
}

function refusalOf(judged: Judgement, { kind }: Source): ApiFailure | null {
  if (judged.kind === "allowed") return null;
  const { rule, message } = judged;
  const pointer = kind === "image" ? "/spec/source/reference" : "/spec/source";
  const code = rule === "scanner_away" ? "scanner_unavailable" : "image_refused";
  return new ApiFailure({ code, message: `${pointer}: ${message}`, errors: [{ pointer, rule, message }] });
}

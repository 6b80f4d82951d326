// One question to the operator's scanner of images. Whatever is not a known answer in time is none: null.
import { boundedText } from "../outbound/guarded-fetch.ts";
import { ScanAnswer, type ScanRequest, type Scanner } from "../../../contracts/image-policy.ts";

/** An answer is a few words; what is longer is not one. */
const ANSWER_BYTES_MAX = 16_384;

export async function askScanner(
  { url, timeoutMs }: Pick<Scanner, "url" | "timeoutMs">,
  ask: ScanRequest,
): Promise<ScanAnswer | null> {
  try {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify(ask),
      // Where it is led on to is not what the operator named.
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (answer.status !== 200) {
      await answer.body?.cancel();
      return tell(url, `it answered ${answer.status}`);
    }
    const known = ScanAnswer.safeParse(JSON.parse(await boundedText(answer, ANSWER_BYTES_MAX)));
    return known.success ? known.data : tell(url, "its answer is not {allowed: true} or {allowed: false, reason}");
  } catch (error) {
    return tell(url, error instanceof Error ? `${error.name}: ${error.message}` : "no answer");
  }
}

/** For the operator's log; the address's path may be a secret of the scanner's. */
function tell(url: string, why: string): null {
  console.error(JSON.stringify({ scanner: new URL(url).origin, away: why.replaceAll(url, "…") }));
  return null;
}

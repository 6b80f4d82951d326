// Custom domains that do not serve, or will not for long: the proof in the DNS is gone, or the certificate ends without a successor.
import type { Domain } from "../../contracts/domains.ts";
import { shownMs } from "../duration.ts";
import { fault, fine, type Finding } from "./finding.ts";

type Looked = Pick<Domain, "hostname" | "status" | "message" | "certificate">;

const DAY_MS = 86_400_000;
/** Issuers renew a month before the end; two weeks before it something is wrong. */
const CERTIFICATE_LATE_MS = 14 * DAY_MS;

/** nowMs: wall time. One that waits for its records is not wrong. */
export function domainFindings(
  { hostname, status, message, certificate }: Looked,
  app: string,
  nowMs: number,
): Finding[] {
  const check = `domain ${hostname}`;
  const mend = `berth domains verify '${hostname}' --app ${app}`;
  if (["blocked", "failing", "suspended"].includes(status)) return [fault(check, message, mend)];
  const leftMs = certificate?.expiresAtMs == null ? null : certificate.expiresAtMs - nowMs;
  if (leftMs !== null && leftMs <= 0) return [fault(check, "its certificate has expired", mend)];
  if (leftMs !== null && leftMs < CERTIFICATE_LATE_MS)
    return [fault(check, `its certificate ends in ${shownMs(leftMs)} and was not renewed`, mend)];
  if (certificate !== null && certificate.errors.length > 0) return [fault(check, certificate.errors.join("; "), mend)];
  return [fine(check, message)];
}

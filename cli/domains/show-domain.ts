// A domain in the terminal: its status, its certificate, and for each record what is wanted, what is there and what to do.
import pc from "picocolors";
import type { Domain, DomainDelegation, DomainInstruction } from "../../contracts/domains.ts";
import { ago, phase, type Output } from "../output.ts";

export function showDomains(out: Output, domains: readonly Domain[]): void {
  const nowMs = Date.now();
  out.table(
    ["HOSTNAME", "STATUS", "OWNERSHIP", "TRAFFIC", "CERTIFICATE", "CHECKED"],
    domains.map((domain) => [
      domain.hostname,
      phase(domain.status),
      mark(domain, "ownership"),
      mark(domain, "traffic"),
      certificateOf(domain, nowMs),
      domain.checkedAtMs === null ? "never" : ago(domain.checkedAtMs, nowMs),
    ]),
  );
}

export function showDomain(out: Output, domain: Domain): void {
  out.line(`${pc.bold(domain.hostname)}  ${phase(domain.status)}  ${domain.message}`);
  if (domain.suspendAtMs !== null) out.line(pc.yellow(`It is suspended on ${date(domain.suspendAtMs)}.`));
  const certificate = certificateOf(domain, Date.now());
  if (certificate !== "–") out.line(`Certificate: ${certificate}`);
  for (const error of domain.certificate?.errors ?? []) out.line(pc.yellow(`  ${error}`));
  out.line();
  out.table(
    ["", "TYPE", "NAME", "VALUE", "FOUND"],
    domain.instructions.map((one) => [tick(one.ok), one.type, one.name, one.value, one.ok ? "" : foundOf(one)]),
  );
  const todo = domain.instructions.filter(({ ok }) => !ok);
  if (todo.length > 0) out.line();
  for (const { text } of todo) out.line(`• ${text}`);
  if (domain.delegation !== undefined) showDelegation(out, domain.delegation);
}

/** Apart from what has to be there: nothing is wrong without it. */
function showDelegation(out: Output, { ok, type, name, value, found, text }: DomainDelegation): void {
  out.line(`\n${pc.bold("When the edge is away")} ${pc.dim("(optional)")}`);
  out.table(
    ["", "TYPE", "NAME", "VALUE", "FOUND"],
    [[ok ? tick(true) : "–", type, name, value, ok ? "" : foundOf({ found })]],
  );
  out.line(ok ? "Ingresses of this region may have its certificate ahead of need." : `• ${text}`);
}

const tick = (ok: boolean): string => (ok ? pc.green("✓") : pc.yellow("✗"));
const foundOf = ({ found }: Pick<DomainInstruction, "found">): string =>
  found.length === 0 ? pc.dim("nothing") : found.join("\n");
const date = (atMs: number): string => new Date(atMs).toISOString().slice(0, 16).replace("T", " ");

function mark(domain: Domain, purpose: DomainInstruction["purpose"]): string {
  return tick(domain.instructions.every((one) => one.purpose !== purpose || one.ok));
}

function certificateOf({ certificate }: Domain, nowMs: number): string {
  if (certificate === null) return "–";
  if (certificate.expiresAtMs === null) return certificate.status;
  const days = Math.floor((certificate.expiresAtMs - nowMs) / 86_400_000);
  const text = `${certificate.status}, expires ${date(certificate.expiresAtMs).slice(0, 10)} (${days} days)`;
  return days < 14 ? pc.yellow(text) : text;
}

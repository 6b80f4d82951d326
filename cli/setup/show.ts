// What the set-up says: the plan, its costs, and how each step goes.
import type { Output } from "../output.ts";
import type { Cost } from "./cost.ts";
import type { Plan, Step } from "./plan.ts";
import type { Wanted } from "./wanted.ts";

/** One step in words that follow a bullet; no value of any secret. */
export function stepText(step: Step): string {
  switch (step.kind) {
    case "migrate":
      return `Postgres: ${step.count} migration${step.count === 1 ? "" : "s"}, and the roles berth_owner, berth_auth, berth_app`;
    case "create_namespace":
      return `KV namespace ${step.title}`;
    case "create_bucket":
      return `R2 bucket ${step.name}`;
    case "order_certificate":
      return `Certificate for ${step.hosts.join(", ")}`;
    case "create_record":
      return `DNS record ${step.name} (${step.why})`;
    case "mend_record":
      return `DNS record ${step.name}: was ${step.was}`;
    case "deploy":
      return `Worker ${step.worker} (${step.because})${step.secrets.length === 0 ? "" : `, with new secrets: ${step.secrets.join(", ")}`}`;
    case "create_route":
      return `Route ${step.pattern} to ${step.worker ?? "no Worker"} (${step.why})`;
    case "set_fallback":
      return `Fallback origin of custom hostnames: ${step.origin}`;
  }
}

export function showPlan(
  out: Output,
  { zone, domain, apiHost }: Wanted,
  { steps, notes }: Plan,
  cost: CostShown,
): void {
  out.line(`Berth for *.${domain}, API at https://${apiHost}, account ${zone.accountName}, zone ${zone.name}\n`);
  if (steps.length === 0) out.line("Everything is there already: nothing to do.");
  else out.line(`To be made, in this order:\n${steps.map((step) => `  • ${stepText(step)}`).join("\n")}`);
  out.line();
  showCost(out, cost);
  for (const note of notes) out.line(`\nNote: ${note}`);
}

export interface CostShown extends Cost {
  readonly nodes: number;
  readonly requestsPerMonth: number;
}

function showCost(out: Output, { nodes, requestsPerMonth, lines, totalUsdPerMonth }: CostShown): void {
  out.line(
    `Cloudflare's price a month, at most (every agent over HTTP), with ${nodes} nodes and ${requestsPerMonth.toLocaleString("en")} requests of visitors (--nodes, --requests):`,
  );
  out.table(
    ["", "QUANTITY", "USD"],
    [
      ...lines.map(({ what, quantity, usdPerMonth }) => [what, quantity, usdPerMonth.toFixed(2)]),
      ["In all", "", totalUsdPerMonth.toFixed(2)],
    ],
  );
  out.line(
    "Beside it: Postgres by its own provider, stored bundles (R2, 0.015 a GB), 0.10 for each custom hostname beyond 100.",
  );
}

// Rule: core/ decides from its arguments alone. No clock, randomness, I/O, logging or async.
import { type AstNode, type Finding, isNode, type SourceFile, walk } from "../source-file.ts";

const impureGlobals = new Set([
  "Promise",
  "WebSocket",
  "clearInterval",
  "clearTimeout",
  "console",
  "crypto",
  "fetch",
  "globalThis",
  "performance",
  "queueMicrotask",
  "setImmediate",
  "setInterval",
  "setTimeout",
]);
const impureMembers = new Set(["Date.now", "Math.random", "process.env", "process.hrtime", "process.nextTick"]);

export function purity(file: SourceFile): Finding[] {
  if (!file.path.startsWith("core/")) return [];
  const findings: Finding[] = [];
  walk(file.program, (node, ancestors) => {
    const found = impurity(node, ancestors.at(-1));
    if (found === undefined) return;
    findings.push({ rule: "purity", path: file.path, line: file.lineAt(node.start), message: `${found} in core/` });
  });
  return findings;
}

function impurity(node: AstNode, parent: AstNode | undefined): string | undefined {
  if (node.async === true) return "async";
  switch (node.type) {
    case "AwaitExpression":
      return "await";
    case "ForOfStatement":
      return node.await === true ? "for await" : undefined;
    case "ImportExpression":
      return "import()";
    case "Identifier":
      return typeof node.name === "string" && impureGlobals.has(node.name) && !isPropertyName(node, parent)
        ? node.name
        : undefined;
    case "MemberExpression": {
      const member = `${nameOf(node.object)}.${nameOf(node.property)}`;
      return impureMembers.has(member) ? member : undefined;
    }
    case "NewExpression":
    case "CallExpression": {
      const readsClock = nameOf(node.callee) === "Date" && (node.arguments as unknown[]).length === 0;
      return readsClock ? "the current date" : undefined;
    }
    default:
      return undefined;
  }
}

/** In `x.fetch` and `{ fetch: 1 }` the word names a property, not the global. */
function isPropertyName(node: AstNode, parent: AstNode | undefined): boolean {
  if (!parent || parent.computed === true || parent.shorthand === true) return false;
  return parent.property === node || parent.key === node;
}

function nameOf(value: unknown): string {
  return isNode(value) && typeof value.name === "string" ? value.name : "";
}

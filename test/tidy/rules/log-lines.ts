// Rule: a Worker or an object logs one JSON value a line. What others wrote (names, messages of errors) can then neither end the line nor pass for another one.
import { type AstNode, type Finding, isNode, type SourceFile, walk } from "../source-file.ts";

const LOGGED = /^(workers|durable-objects|self-hosted\/workers)\//;

export function logLines(file: SourceFile): Finding[] {
  if (!LOGGED.test(file.path)) return [];
  const findings: Finding[] = [];
  walk(file.program, (node) => {
    if (node.type !== "CallExpression" || objectOf(node.callee) !== "console") return;
    const [first, ...more] = node.arguments as AstNode[];
    if (more.length === 0 && first !== undefined && isJson(first)) return;
    const message = "console takes JSON.stringify(…) alone";
    findings.push({ rule: "log-lines", path: file.path, line: file.lineAt(node.start), message });
  });
  return findings;
}

const isJson = (node: AstNode): boolean =>
  node.type === "CallExpression" && objectOf(node.callee) === "JSON" && propertyOf(node.callee) === "stringify";

const objectOf = (callee: unknown): unknown =>
  isNode(callee) && callee.type === "MemberExpression" && isNode(callee.object) ? callee.object.name : undefined;
const propertyOf = (callee: unknown): unknown =>
  isNode(callee) && isNode(callee.property) ? callee.property.name : undefined;

// Rule: nothing is left unfinished, and every test that is written runs.
import { type AstNode, type Finding, isNode, type SourceFile, walk } from "../source-file.ts";

const rule = "unfinished";
const marks = /\b(TODO|FIXME|XXX|HACK)\b/;
const suppressions = /@ts-(ignore|nocheck)\b/;
const runners = new Set(["test", "it", "describe", "suite", "bench", "context", "ctx", "task"]);
const notRunning = new Set(["skip", "only", "todo", "skipIf", "runIf", "fails"]);
const oldNames = new Set(["xit", "xtest", "xdescribe", "fit", "fdescribe"]);

export function unfinished(file: SourceFile): Finding[] {
  const findings: Finding[] = [];
  for (const { text, line } of file.comments) {
    const mark = marks.exec(text)?.[0] ?? suppressions.exec(text)?.[0];
    if (mark) findings.push({ rule, path: file.path, line, message: `${mark} in a comment` });
  }
  if (!file.path.startsWith("test/")) return findings;
  walk(file.program, (node) => {
    const message = notRunningTest(node);
    if (message) findings.push({ rule, path: file.path, line: file.lineAt(node.start), message });
  });
  return findings;
}

function notRunningTest(node: AstNode): string | undefined {
  if (node.type === "CallExpression" && isNode(node.callee) && oldNames.has(String(node.callee.name))) {
    return `${String(node.callee.name)}() does not run with the others`;
  }
  if (node.type !== "MemberExpression" || !isNode(node.property) || !isNode(node.object)) return undefined;
  const property = String(node.property.name);
  return notRunning.has(property) && runners.has(rootOf(node.object)) ? `.${property} on a test` : undefined;
}

/** `test` of `test.concurrent.each`. */
function rootOf(node: AstNode): string {
  if (isNode(node.object)) return rootOf(node.object);
  return isNode(node.callee) ? rootOf(node.callee) : String(node.name);
}

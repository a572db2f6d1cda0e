// Runs commands of CLI for Microsoft 365 in one process, by the interface that it has for scripts:
// node start-up is most of what a command costs. Reads [[name, options], …], writes what came of each.
import { createRequire } from 'node:module';
import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [modules, asked, output] = process.argv.slice(2);
const main = createRequire(`${modules}/`).resolve('@pnp/cli-microsoft365');
const { executeCommand } = await import(pathToFileURL(main));

const results = [];
for (const [name, options] of JSON.parse(readFileSync(asked, 'utf8'))) {
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  try {
    const { stdout } = await executeCommand(name, { output: 'json', ...options });
    results.push({ output: stdout, errors: '', seconds: seconds() });
  } catch (error) {
    const errors = String(error.error?.message ?? error.message ?? error);
    results.push({ output: '', errors, seconds: seconds() });
  }
}
writeFileSync(output, JSON.stringify(results));

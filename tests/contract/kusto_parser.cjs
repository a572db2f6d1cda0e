// Parses and binds KQL queries with Microsoft's own language service.
// node kusto_parser.cjs NODE_MODULES < {"tables": {name: schema}, "queries": [text]}
// Prints the diagnostics of each query, in order.
const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

// The package is two scripts for a browser: each adds to the global scope.
const folder = path.join(process.argv[2], "@kusto", "language-service-next");
for (const name of ["bridge.min.js", "Kusto.Language.Bridge.min.js"]) {
  vm.runInThisContext(fs.readFileSync(path.join(folder, name), "utf8"), { filename: name });
}
const { KustoCode, GlobalState, Symbols } = globalThis.Kusto.Language;

const { tables, queries } = JSON.parse(fs.readFileSync(0, "utf8"));
const symbols = Object.entries(tables).map(([name, schema]) =>
  Symbols.TableSymbol.From(schema).WithName(name),
);
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor("app", symbols));
const found = queries.map((query) => {
  const diagnostics = KustoCode.ParseAndAnalyze(query, globals).GetDiagnostics();
  return Array.from({ length: diagnostics.Count }, (_, at) => diagnostics.getItem(at).Message);
});
console.log(JSON.stringify(found));

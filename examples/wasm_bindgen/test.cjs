// Runs an example with the package that holds a module: test.cjs EXAMPLE MODULE COUNT ENGINE… It must rotate, and stay below
// what it takes without.
'use strict';

const { execFileSync } = require('node:child_process');
const path = require('node:path');

const [example, module_, count, ...engines] = process.argv.slice(2);
const separator = `${path.sep}node_modules${path.sep}`;
const packages = module_.slice(0, module_.lastIndexOf(separator) + separator.length - 1);
for (const engine of engines) {
  const env = { ...process.env, NODE_PATH: packages, ROTOR_ENGINE: engine, ROTOR_LIMIT: example.startsWith('resvg') ? '16MiB' : '128MiB' };
  const output = execFileSync(process.execPath, [path.join(__dirname, example), count], { env, encoding: 'utf8' });
  process.stdout.write(`${engine}: ${output}`);
  const [, rewinds, most] = /, (\d+) rewinds, at most ([\d.]+) MiB/.exec(output);
  if (Number(rewinds) < 1) throw new Error(`${example} in ${engine}: no rewind`);
  if (Number(most) > (example.startsWith('resvg') ? 20 : 160)) throw new Error(`${example} in ${engine}: ${most} MiB`);
}

// Builds dist/: kernels from AssemblyScript, embedded in a JavaScript module as base64 so that bundlers and single-file
// executables keep them, then src/ and runtimes/ with tsc. Two builds at once don't disturb each other: all goes to a folder
// of this process first.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
process.chdir(root);
const staging = path.join('build', String(process.pid));
process.on('exit', () => rmSync(staging, { recursive: true, force: true }));

/** Runs a package's command with this Node, so that nothing has to be on PATH. */
function run(packageName, bin, ...args) {
  const folder = path.join('node_modules', packageName);
  const { bin: bins } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
  const { status, error } = spawnSync(process.execPath, [path.join(folder, bins[bin]), ...args], { stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

/** Puts a file or folder of this build in the place of an older one. */
function replace(fresh, target) {
  const old = path.join(staging, `old-${path.basename(target)}`);
  try {
    renameSync(target, old);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  try {
    renameSync(fresh, target);
  } catch (error) {
    // Another build put its own there in the meantime: as good as this one.
    if (!existsSync(target)) throw error;
  }
}

mkdirSync(staging, { recursive: true });
const wasmFile = path.join(staging, 'kernels.wasm');
const watFile = path.join(staging, 'kernels.wat');
run('assemblyscript', 'asc', '--config', 'asconfig.json', '--outFile', wasmFile, '--textFile', watFile);
const wasm = readFileSync(wasmFile);
const generated = path.join(staging, 'kernels.generated.ts');
writeFileSync(
  generated,
  `// Made by scripts/build.mjs from assembly/.\nexport const kernelsBase64: string =\n  '${wasm.toString('base64')}';\n`,
);
renameSync(generated, 'src/kernels.generated.ts');
run('typescript', 'tsc', '-p', 'scripts/tsconfig.build.json', '--outDir', path.join(staging, 'dist'));
replace(wasmFile, 'build/kernels.wasm');
replace(watFile, 'build/kernels.wat');
replace(path.join(staging, 'dist'), 'dist');
chmodSync('dist/src/cli/main.js', 0o755);
console.log(`built dist/, kernels ${wasm.length} bytes`);

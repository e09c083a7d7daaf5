import { Scenario } from './simulator/scenario.js';

for (let seed = Number(process.argv[2] ?? 1); seed < Number(process.argv[3] ?? 2); seed++) {
  const outcome = await new Scenario(seed, process.argv[4] ? console.log : null).run();
  if (outcome.violations.length > 0 || process.argv[4]) console.log(outcome.seed, outcome);
}

// Gets the servers that the shipper is tested with into node_modules/.cache/logboom-engines (or LOGBOOM_ENGINES), and runs
// those tests. They are built with Go, in the versions below; without Go the tests are skipped, which is said.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const engines = {
  gofakes3: 'github.com/johannesboyne/gofakes3/cmd/gofakes3@v1.2.0',
  'victoria-logs': 'github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs@v1.52.1'
}
const root = fileURLToPath(new URL('..', import.meta.url))
const folder = process.env.LOGBOOM_ENGINES ?? join(root, 'node_modules/.cache/logboom-engines')

mkdirSync(folder, { recursive: true })
for (const [name, module] of Object.entries(engines)) {
  if (existsSync(join(folder, name))) continue
  console.log(`building ${module}`)
  const { status, error } = spawnSync('go', ['install', module], {
    stdio: 'inherit',
    env: { ...process.env, GOBIN: folder }
  })
  if (status !== 0)
    console.log(
      `${name} could not be built${error === undefined ? '' : ` (${error.message})`}: its tests are skipped`
    )
}
const { status } = spawnSync(
  process.execPath,
  [join(root, 'node_modules/vitest/vitest.mjs'), 'run', 'test/engines'],
  {
    stdio: 'inherit',
    cwd: root,
    env: { ...process.env, LOGBOOM_ENGINES: folder }
  }
)
process.exit(status ?? 1)

// The recipes for web frameworks: installed as the page says, asked while the log is rotated, ended by a signal that nobody
// handles, in the middle of the work, and started again.
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { follow, MAX_BYTES, pin, type Recipe } from './recipe.ts'
import { expectOnce, freePort, load, readLog, started } from './server.ts'

const REQUESTS = 400
const TEST_MS = 900_000

interface Framework {
  page: string
  /** What has to be run before the server can be started. */
  build?: RegExp
  /** What the page takes for granted. */
  prepare?(recipe: Recipe): void
  /** The command of the page, or one that the page takes for granted. */
  start?: RegExp | string
}

const typescript = { build: /^npx tsc$/, start: /^node dist/ }
const frameworks: Framework[] = [
  { page: 'fastify' },
  { page: 'express-pino' },
  { page: 'express-winston' },
  { page: 'nestjs-pino', ...typescript },
  { page: 'nestjs-winston', ...typescript },
  { page: 'nextjs', build: /^npx next build$/, start: /^node \.next/ },
  { page: 'koa' },
  { page: 'hapi' },
  { page: 'adonisjs', prepare: adonis, start: 'node bin/server.js' }
]

describe.each(frameworks)('$page', ({ page, build, prepare, start = /^node server/ }) => {
  test('whoever was answered is in the log once, whatever signal ends the server', {
    timeout: TEST_MS
  }, async () => {
    const recipe = follow(page)
    prepare?.(recipe)
    if (build !== undefined) recipe.shell(build, { NEXT_TELEMETRY_DISABLED: '1' })
    const command = typeof start === 'string' ? start : recipe.command(start)
    const log = 'logs/app.log'
    // Only the recipe of Next.js asks for it.
    const env = { LOG_PATH: join(recipe.folder, log) }
    const answered: string[] = []
    for (const [run, signal] of (['SIGTERM', 'SIGKILL', 'SIGINT'] as const).entries()) {
      const server = await started(recipe, command, { port: await freePort(), env })
      answered.push(...(await load(server.port, 1 + run * REQUESTS, REQUESTS)))
      await server.stop(signal)
      expect(server.output()).not.toMatch(/logboom: .*(lost|degraded)/i)
    }
    expect(answered).toHaveLength(3 * REQUESTS)
    recipe.tool('logboom', ['recover', log])
    expectOnce(readLog(recipe, log), answered, MAX_BYTES)
  })
})

/** As little of an application as AdonisJS starts with, without the compiler: the files of the page are JavaScript, too. */
function adonis(recipe: Recipe): void {
  // Version 7 needs Node 24.
  const isOld = Number.parseInt(process.versions.node, 10) < 24
  const core = `@adonisjs/core@${pin(isOld ? '@adonisjs/core 6' : '@adonisjs/core')}`
  const quiet = ['--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline']
  const { status, stderr } = recipe.run('npm', ['install', ...quiet, core])
  expect(status, stderr).toBe(0)
  for (const name of ['config/logger', 'start/routes']) {
    renameSync(join(recipe.folder, `${name}.ts`), join(recipe.folder, `${name}.js`))
  }
  // What the page says of version 6.
  const config = join(recipe.folder, 'config/logger.js')
  if (isOld) writeFileSync(config, readFileSync(config, 'utf8').replace('destination:', 'desination:'))
  const manifest = JSON.parse(readFileSync(join(recipe.folder, 'package.json'), 'utf8'))
  recipe.write('package.json', JSON.stringify({ ...manifest, type: 'module' }))
  const files = isOld ? adonisFiles : { ...adonisFiles, ...adonis7Files }
  for (const [name, text] of Object.entries(files)) recipe.write(name, text)
}

const KEY = 'a key that is long enough for a test'
const adonisFiles: Record<string, string> = {
  'bin/server.js': `import { Ignitor } from '@adonisjs/core'
const root = new URL('../', import.meta.url)
const importer = (path) => import(/^\\.\\.?\\//.test(path) ? new URL(path, root).href : path)
process.env.HOST = 'localhost'
process.env.NODE_ENV = 'production'
new Ignitor(root, { importer }).httpServer().start()
`,
  'adonisrc.js': `import { defineConfig } from '@adonisjs/core/app'
export default defineConfig({
  providers: [() => import('@adonisjs/core/providers/app_provider'), () => import('@adonisjs/core/providers/hash_provider')],
  preloads: [() => import('./start/routes.js')]
})
`,
  'config/app.js': `import { defineConfig } from '@adonisjs/core/http'
export const appKey = '${KEY}'
export const http = defineConfig({})
`
}
const adonis7Files: Record<string, string> = {
  'config/encryption.js': `import { defineConfig, drivers } from '@adonisjs/core/encryption'
export default defineConfig({ default: 'app', list: { app: drivers.aes256gcm({ id: 'app', keys: ['${KEY}'] }) } })
`
}

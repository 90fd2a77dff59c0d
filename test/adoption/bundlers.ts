// Applications that are joined into one file: the bundlers, and what each bundle is asked.
import { cpSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { createFolder } from '../helpers/folder.ts'
import type { Application } from './application.ts'

/** Logs ten lines each through a class, a stream and winston to files beside the first argument. */
const program = `import { DirectFile, RotatingFile, workerStream } from 'logboom'
import { RotatingFileTransport } from 'logboom/winston'
import winston from 'winston'
const at = process.argv[2]
// Alone there is no addon, and so no lock.
const lock = at !== 'alone'
async function main() {
  if (at === 'alone') {
    try {
      new DirectFile({ path: at + '.direct' })
    } catch (error) {
      console.log('direct file: ' + error.code)
    }
  }
  const file = new RotatingFile({ path: at + '.class', lock })
  const stream = workerStream('rotating-file', { path: at + '.stream', lock })
  const logger = winston.createLogger({ transports: [new RotatingFileTransport({ path: at + '.winston', lock })] })
  for (let i = 0; i < 10; i++) {
    file.write(i + '\\n')
    stream.write(i + '\\n')
    logger.info(i)
  }
  await file.close()
  await stream.close()
  logger.end()
}
main().catch((error) => {
  console.log('error ' + error.message)
  process.exit(4)
})
`

export interface Bundler {
  name: string
  packages: string[]
  /** Bundles `in.mjs`; returns the file to run. */
  bundle(application: Application): string
}

const require = '--banner:js=import{createRequire as r}from"node:module";const require=r(import.meta.url);'
export const bundlers: Bundler[] = [
  {
    name: 'esbuild to CommonJS',
    packages: ['esbuild'],
    bundle(application) {
      application.tool('esbuild', [
        'in.mjs',
        '--bundle',
        '--platform=node',
        '--format=cjs',
        '--outfile=out/out.cjs'
      ])
      return 'out/out.cjs'
    }
  },
  {
    name: 'esbuild to an ES module',
    packages: ['esbuild'],
    bundle(application) {
      const args = ['in.mjs', '--bundle', '--platform=node', '--format=esm', '--outfile=out/out.mjs', require]
      application.tool('esbuild', args)
      return 'out/out.mjs'
    }
  },
  {
    name: 'rolldown',
    packages: ['rolldown'],
    bundle(application) {
      application.tool('rolldown', [
        'in.mjs',
        '--platform',
        'node',
        '--format',
        'cjs',
        '--file',
        'out/out.cjs'
      ])
      return 'out/out.cjs'
    }
  },
  {
    name: 'webpack',
    packages: ['webpack@5', 'webpack-cli'],
    bundle(application) {
      application.write(
        'webpack.config.cjs',
        `module.exports = { mode: 'production', target: 'node', entry: './in.mjs', node: { __filename: false, __dirname: false },
  output: { path: __dirname + '/out', filename: 'out.cjs' } }`
      )
      application.tool('webpack', ['--config', 'webpack.config.cjs'])
      return 'out/out.cjs'
    }
  },
  {
    name: 'webpack with its own __filename',
    packages: ['webpack@5', 'webpack-cli'],
    bundle(application) {
      application.write(
        'webpack.config.cjs',
        `module.exports = { mode: 'development', target: 'node', entry: './in.mjs',
  output: { path: __dirname + '/out', filename: 'out.cjs' } }`
      )
      application.tool('webpack', ['--config', 'webpack.config.cjs'])
      return 'out/out.cjs'
    }
  },
  {
    name: 'rollup',
    packages: ['rollup', '@rollup/plugin-commonjs', '@rollup/plugin-node-resolve', '@rollup/plugin-json'],
    bundle(application) {
      application.write(
        'rollup.config.mjs',
        `import commonjs from '@rollup/plugin-commonjs'; import resolve from '@rollup/plugin-node-resolve'; import json from '@rollup/plugin-json'
export default { input: 'in.mjs', output: { file: 'out/out.mjs', format: 'es', inlineDynamicImports: true },
  plugins: [resolve({ preferBuiltins: true, exportConditions: ['node'] }), commonjs({ ignoreDynamicRequires: true }), json()] }`
      )
      application.tool('rollup', ['-c'])
      return 'out/out.mjs'
    }
  },
  {
    name: 'vite for a server',
    packages: ['vite'],
    bundle(application) {
      application.write(
        'vite.config.mjs',
        `export default { build: { ssr: 'in.mjs', outDir: 'out', rollupOptions: { output: { entryFileNames: 'out.mjs' } } }, ssr: { noExternal: true } }`
      )
      application.tool('vite', ['build'])
      return 'out/out.mjs'
    }
  },
  {
    name: 'ncc',
    packages: ['@vercel/ncc'],
    bundle(application) {
      application.tool('ncc', ['build', 'in.mjs', '-o', 'out'])
      return readdirSync(join(application.folder, 'out')).includes('index.mjs')
        ? 'out/index.mjs'
        : 'out/index.js'
    }
  }
]

const kinds = ['class', 'stream', 'winston']

/** The bundle finds threads and addon in the package that is installed beside it. */
export function checkBesideInstalled(application: Application, { bundle }: Bundler): void {
  application.write('in.mjs', program)
  const { stdout, stderr, status } = application.run(process.execPath, [bundle(application), 'installed'])
  expect(stdout + stderr).toBe('')
  expect(status).toBe(0)
  for (const kind of kinds) expect(application.lines(`installed.${kind}`)).toHaveLength(10)
}

/** Alone the bundle can be imported, and says what is missing and what to do. */
export function checkAlone(application: Application, { bundle }: Bundler): void {
  application.write('in.mjs', program)
  const file = bundle(application)
  const alone = createFolder()
  cpSync(join(application.folder, 'out'), alone, { recursive: true })
  const command = `cd ${alone} && exec ${process.execPath} ${file.replace('out/', '')} alone`
  const { stdout, stderr } = application.run('/bin/sh', ['-c', command])
  expect(stdout).toContain('direct file: ERR_UNSUPPORTED')
  expect(`${stdout}${stderr}`).toMatch(/bundle/)
  expect(`${stdout}${stderr}`).toMatch(/external/)
}

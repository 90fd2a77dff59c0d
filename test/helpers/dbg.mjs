import { DirectFile } from 'logboom'
import { Worker } from 'node:worker_threads'
import { once } from 'node:events'
import fs from 'node:fs'
import { decodeDirectFile } from '../../dist/formats/direct-file-decoder.js'
const N=Number(process.argv[2]??250000), T=8
const path='/tmp/dt/thr.log'; fs.rmSync(path,{force:true})
const file=new DirectFile({path,bufferSize:'640k',numShards:8,flushInterval:'20ms',flushTimeout:Number(process.argv[3]??2)})
file.on('warning',e=>console.log(e)); file.on('degraded',e=>console.log(e))
const logged=new SharedArrayBuffer(4*T)
const ws=Array.from({length:T},(_, t)=>new Worker(new URL('./direct-writer-worker.mjs',import.meta.url),{workerData:{handle:file.share(),thread:t,count:N,largest:100000,logged}}))
const t0=performance.now()
await Promise.all(ws.map(w=>once(w,'exit')))
await file.close()
console.log('ms',performance.now()-t0,file.getStatsSnapshot(), file.stats())
const fd=fs.openSync(path); const size=fs.fstatSync(fd).size
const read=(o,l)=>{const x=Buffer.alloc(Math.max(0,Math.min(l,size-o))); const n=fs.readSync(fd,x,0,x.length,o); if(n!==x.length) console.log('SHORT',n,x.length); return x}
for (const it of decodeDirectFile({size,read})) if(it.type==='damage'){ console.log(it)
  let at=it.offset; for(let i=0;i<40;i++){ const h=read(at,32); const c=h.readUInt32LE(0),v=h.readUInt32LE(4),e=h.readUInt32LE(8); console.log(at-it.offset,c,v,e,h.subarray(12,32).toString('latin1')); if(c%512||!c) break; at+=c }
}

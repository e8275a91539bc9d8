import { makeBundle, renderLabel, labelText, writeLabels } from "@muster/test";
import { classifyLabels, labelModelFile } from "./dist/fixtures/label-model.js";
import { decodeImage, imageFeatures } from "@muster/shared/inference";
import { labelPreprocess } from "./dist/fixtures/label-model.js";
import { writeFileSync, statSync } from "node:fs";
const t=()=>performance.now();
for (const kind of ["fp32","int8-weights","broken"]) { const a=t(); const b=await makeBundle("/tmp/mq/b-"+kind,{version:"1.0.0",kind}); console.log(kind,(t()-a).toFixed(0)+"ms", statSync("/tmp/mq/b-"+kind+"/model.onnx").size); }
const N=400; const looks=[[1,0],[0.35,0],[1,2],[0.35,1.5],[0.35,2],[0.35,2.5],[0.35,3],[0.5,1.2]];
for(const [light,blur] of looks){ const a=t(); const pics=[],rot=[]; for(let i=0;i<N;i++){rot.push(i%2===1);pics.push(await renderLabel({text:labelText(5e5+i),rotated:i%2===1,light,blur,seed:5e5+i}));}
 const r=(t()-a)/N; const f=await Promise.all(pics.map(async p=>imageFeatures(await decodeImage(p,labelPreprocess)))); const mean=k=>(f.reduce((s,x)=>s+x[k],0)/N).toFixed(3);
 const out=[];let base; for(const kind of ["fp32","int8-weights","broken"]){const ans=await classifyLabels("/tmp/mq/b-"+kind+"/model.onnx",pics); base??=ans; out.push(kind+":"+ans.filter((x,i)=>(x.label!=="upright")===rot[i]).length+" agree "+ans.filter((x,i)=>x.label===base[i].label).length+" conf "+(ans.reduce((s,x)=>s+x.confidence,0)/N).toFixed(3)+" maxdiff "+Math.max(...ans.map((x,i)=>Math.abs(x.scores[0]-base[i].scores[0]))).toFixed(3))}
 console.log(light,blur,"render ms",r.toFixed(1),"bytes",pics[0].length,out.join(" | "),["brightness","contrast","sharpness","saturation"].map(k=>k+" "+mean(k)).join(" "));
 pics.slice(0,4).forEach((p,i)=>writeFileSync(`/tmp/mq/l-${light}-${blur}-${i}.jpg`,p)); }
const a=t(); console.log(await writeLabels("/tmp/mq/stream",{count:5,seed:3}),t()-a);

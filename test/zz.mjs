import { renderLabel, labelText } from "@muster/test";
import { classifyLabels, labelModelFile } from "./dist/fixtures/label-model.js";
const N=600, pics=[],info=[];
for(let i=0;i<N;i++){const text=labelText(i);for(const rotated of[false,true]){pics.push(await renderLabel({text,rotated,seed:i}));info.push({text,rotated})}}
const ans=await classifyLabels(labelModelFile,pics); const c={};
ans.forEach((a,i)=>{const k=info[i].text.split(" ")[0]+(info[i].rotated?" rot":" up");c[k]??=[0,0,0];c[k][1]++;if((a.label!=="upright")===info[i].rotated)c[k][0]++;c[k][2]+=a.confidence});
console.log(c);

import sharp from "sharp"; import {renderLabel,labelText} from "@muster/test";
const parts=[];for(let i=0;i<10;i++)parts.push({input:await renderLabel({text:labelText(i),rotated:i%5===4,seed:i,light:i>=8?0.35:1,blur:i>=8?2:0}),left:(i%2)*390,top:Math.floor(i/2)*100});
await sharp({create:{width:780,height:500,channels:3,background:"#f0f"}}).composite(parts).png().toFile("/tmp/mq/sheet.png");

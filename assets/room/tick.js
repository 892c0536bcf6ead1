// Calls back every few seconds for as long as it is on the page and the page is looked at.
import { useEffect, useRef } from "react";

export function Ticker({ seconds, onTick }) {
  const call = useRef(onTick);
  call.current = onTick;
  useEffect(() => {
    const tick = () => document.visibilityState === "visible" && call.current?.();
    const timer = setInterval(tick, seconds * 1000);
    document.addEventListener("visibilitychange", tick);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", tick);
    };
  }, [seconds]);
  return null;
}

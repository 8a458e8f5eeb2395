import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;

/** Steps and assertions. A step that fails ends the program with code 1 and says what was expected. */
final class Check {
    interface Body {
        void run() throws Exception;
    }

    private static int steps;

    static void step(String name, Body body) {
        try {
            body.run();
            steps++;
            System.out.println("ok " + name);
        } catch (Throwable e) {
            System.out.println("FAILED " + name + ": " + e);
            for (Throwable cause = e.getCause(); cause != null; cause = cause.getCause()) {
                System.out.println("  because " + cause);
            }
            for (int i = 0; i < Math.min(4, e.getStackTrace().length); i++) {
                System.out.println("  at " + e.getStackTrace()[i]);
            }
            System.exit(1);
        }
    }

    static void finish() {
        System.out.println(steps + " steps");
        System.exit(0);
    }

    static void equal(String what, Object expected, Object got) {
        if (!Objects.equals(expected, got)) {
            throw new AssertionError(what + ": expected " + expected + ", got " + got);
        }
    }

    static void isTrue(String what, boolean value) {
        if (!value) {
            throw new AssertionError(what);
        }
    }

    /** The call must fail with the exception class of this simple name (inside an ExecutionException or bare). */
    static Throwable fails(String simpleName, Callable<?> call) throws Exception {
        Object result;
        try {
            result = call.call();
        } catch (ExecutionException e) {
            equal("exception", simpleName, e.getCause().getClass().getSimpleName());
            return e.getCause();
        } catch (Exception e) {
            equal("exception", simpleName, e.getClass().getSimpleName());
            return e;
        }
        throw new AssertionError("expected " + simpleName + ", got the result " + result);
    }

    /** Calls until the value is as expected; admin changes reach a broker's metadata a moment after the answer. */
    static void eventually(String what, Object expected, Callable<?> call) throws Exception {
        eventually(what, 20, expected, call);
    }

    static void eventually(String what, long seconds, Object expected, Callable<?> call) throws Exception {
        long until = System.nanoTime() + seconds * 1_000_000_000L;
        while (true) {
            Object got;
            try {
                got = call.call();
            } catch (ExecutionException e) {
                got = e.getCause().getClass().getSimpleName();
            }
            if (Objects.equals(expected, got)) {
                return;
            }
            if (System.nanoTime() > until) {
                equal(what, expected, got);
            }
            Thread.sleep(50);
        }
    }

    private Check() {}
}
